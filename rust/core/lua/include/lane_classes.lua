-- Classes of workers: `gpu,region:eu;cpu=2` and the like. Those with ready jobs have a number, by which lanes name them; `0` is every worker's.

local known
local read = {}

local function read_class(text)
  if read[text] then return read[text] end
  local capabilities, resources = string.match(text, '^([^;]*);?(.*)$')
  local class = { text = text, needs = {}, capabilities = {} }
  for name in string.gmatch(capabilities, '[^,]+') do class.capabilities[#class.capabilities + 1] = name end
  for name, amount in string.gmatch(resources, '([^,=]+)=([^,]+)') do
    class.needs[name] = math.floor(tonumber(amount) * 1000 + 0.5)
  end
  read[text] = class
  return class
end

-- By number, class 0 included.
local function classes()
  if known then return known end
  known = { ['0'] = read_class('') }
  local found = redis.call('HGETALL', CLASSES)
  for at = 1, #found, 2 do known[found[at + 1]] = read_class(found[at]) end
  return known
end

local function number_of(text)
  if text == '' then return '0' end
  local highest = 0
  for number, class in pairs(classes()) do
    if class.text == text then return number end
    highest = math.max(highest, tonumber(number))
  end
  local number = tostring(highest + 1)
  redis.call('HSET', CLASSES, text, number)
  known[number] = read_class(text)
  return number
end

local function forget_class(number)
  if number == '0' then return end
  redis.call('HDEL', CLASSES, classes()[number].text)
  known[number] = nil
end

-- What a worker offers: a set of capabilities, and what it has left.
local function read_offer(text)
  local class = read_class(text)
  local offer = { capabilities = {}, left = {} }
  for _, name in ipairs(class.capabilities) do offer.capabilities[name] = true end
  for name, amount in pairs(class.needs) do offer.left[name] = amount end
  return offer
end

-- What it offers when leases have taken a part of what it had left.
local function text_of_offer(text, offer)
  return (string.gsub(text, '([^;,=]+)=[^,]+', function(name) return name .. '=' .. string.format('%.14g', offer.left[name] / 1000) end))
end

local function fits(class, offer)
  for _, name in ipairs(class.capabilities) do
    if not offer.capabilities[name] then return false end
  end
  for name, amount in pairs(class.needs) do
    if (offer.left[name] or 0) < amount then return false end
  end
  return true
end
