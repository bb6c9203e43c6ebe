-- Written by hostler; edits here are lost.
-- Converter: replica id -> whether it drains. The truth is a file on the host, and nothing else.
local directory = ...

core.register_converters("draining", function(id)
  if not id:match("^[%w][%w%-%._:]*$") then return false end
  local file = io.open(directory .. "/" .. id)
  if file then file:close() end
  return file ~= nil
end)
