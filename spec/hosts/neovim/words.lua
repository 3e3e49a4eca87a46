-- words.lua: counts the words of buffers, in another process.
local gbi = require "gbi"
local handles, uv = gbi.handles, vim.loop

local words = { asked = 0, answered = 0, late = 0 }

-- A view is our data about a buffer, and lives as long as the buffer. Nothing
-- below holds a view: libuv's callbacks and the other process have its handle.
local views = {} -- buffer -> view

-- The other process gets lines "HANDLE TEXT" and answers "HANDLE COUNT".
local COUNT = [[
  set -f
  while read -r handle text; do
    set -- $text
    echo "$handle $#"
  done
]]

local input, output = uv.new_pipe(), uv.new_pipe()

local function answer(handle, count)
  local view = handles:find(handle)
  if not view then
    words.late = words.late + 1
    return
  end
  view.words = count
  words.answered = words.answered + 1
end

-- Asks for a buffer's words, if it is still there.
local function ask(handle)
  local view = handles:find(handle)
  if not view then return end
  local lines = vim.api.nvim_buf_get_lines(view.buffer, 0, -1, false)
  input:write(("%d %s\n"):format(handle, table.concat(lines, " ")))
  words.asked = words.asked + 1
end

-- The buffer has changed: asks a little later, once for many changes.
function words.changed(buffer)
  local view = views[buffer]
  if not view then
    view = { buffer = buffer, timer = uv.new_timer() }
    view.handle = handles:weak(view)
    views[buffer] = view
  end
  local handle = view.handle
  view.timer:start(20, 0, vim.schedule_wrap(function() ask(handle) end))
end

-- The buffer is gone, and with it its view.
function words.gone(buffer)
  local view = views[buffer]
  if not view then return end
  view.timer:close()
  views[buffer] = nil
end

-- Returns the number of words in a buffer, or nil while it is not known.
function words.count(buffer)
  return views[buffer] and views[buffer].words
end

function words.setup()
  words.process = uv.spawn("sh", {
    args = { "-c", COUNT }, stdio = { input, output, 2 },
  }, function() words.process:close() end)
  local text = ""
  output:read_start(function(err, more)
    assert(not err, err)
    if not more then return end
    text = text .. more
    local rest = 1
    for handle, count, after in text:gmatch("(%d+) (%d+)\n()") do
      answer(tonumber(handle), tonumber(count))
      rest = after
    end
    text = text:sub(rest)
  end)
  local group = vim.api.nvim_create_augroup("words", {})
  for event, name in pairs {
    TextChanged = "changed", TextChangedI = "changed", BufReadPost = "changed",
    BufWipeout = "gone",
  } do
    vim.api.nvim_create_autocmd(event, {
      group = group,
      callback = function(at) words[name](at.buf) end,
    })
  end
end

return words
