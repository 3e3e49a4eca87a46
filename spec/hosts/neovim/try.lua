-- try.lua: twenty buffers; half of them are gone before their answer comes.
local gbi = require "gbi"
local words = require "words"

words.setup()

local function wait(condition)
  assert(vim.wait(10000, condition, 5))
end

local buffers = {}
for i = 1, 20 do
  buffers[i] = vim.api.nvim_create_buf(true, false)
  vim.api.nvim_buf_set_lines(buffers[i], 0, -1, false, { ("word "):rep(i) })
  words.changed(buffers[i])
end

-- the other process stands still until the buffers are gone
words.process:kill("sigstop")
wait(function() return words.asked == 20 end)
for i = 2, 20, 2 do
  vim.api.nvim_buf_delete(buffers[i], { force = true })
end
collectgarbage()
words.process:kill("sigcont")
wait(function() return words.answered + words.late == 20 end)

for i = 1, 20, 2 do assert(words.count(buffers[i]) == i) end
io.write(("%d answers, %d too late, %d handles live\n"):format(
  words.answered, words.late, gbi.handles:count()))
