function love.conf(t)
  t.identity = "bubbles"
  t.version = "11.4"
  t.window.title = "Bubbles"
  t.window.width, t.window.height = 320, 240
  t.modules.audio, t.modules.sound = false, false
end
