"""The scripts that Redis runs: each is one atomic step, with Redis's own clock.

A window (kind ``w``) is a list of grains, oldest first, and a hash of what each grain holds, of their sum (``t``), of
everything ever taken (``n``) and of what others seem to take (``f``, as of ``fa``). A grain counts until its end is a
whole span old. A bucket (kind ``b``; ``l`` if learnt) is a hash of its level and when that was. ``queue`` orders the
workers that wait, ``alive`` drops those that stopped asking. The second key holds the limits that were set while
processes ran, and their version.
"""

from __future__ import annotations

from typing import Final

__all__ = ["ACQUIRE", "LEAVE", "PUBLISH", "RENEW", "SETTLE"]

_DAY: Final = "86400000"

_COMMON: Final = """
local base = KEYS[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function cost_of(unit, input, output)
  if unit == 'requests' then return 1 end
  if unit == 'tokens' then return input + output end
  if unit == 'input_tokens' then return input end
  return output
end

local function number(hash, field)
  return tonumber(redis.call('HGET', hash, field) or '0')
end

local function named(unit, limit, span, kind)
  local w = {unit = unit, limit = tonumber(limit), span = tonumber(span), kind = kind}
  w.rate = w.limit / w.span
  if kind == 'w' then
    w.grains = base .. ':' .. unit .. ':' .. w.span
    w.held = w.grains .. ':held'
    w.grain = math.max(math.floor(w.span / 240), 1)
  else
    w.held = base .. ':' .. unit .. ':' .. kind
  end
  return w
end

-- What was learnt of a window that is configured too is one with it: the lower limit holds.
local function windows(from)
  local found, by_name = {}, {}
  local function put(w)
    local same = by_name[w.held]
    if same then
      same.limit = math.min(same.limit, w.limit)
      same.rate = same.limit / same.span
    else
      found[#found + 1] = w
      by_name[w.held] = w
    end
  end
  for i = from, #ARGV, 4 do put(named(ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3])) end
  for _, value in ipairs(redis.call('HVALS', base .. ':learnt')) do
    put(named(string.match(value, '(.*):(.*):(.*):(.*)')))
  end
  return found, by_name
end

local function keep(w)
  redis.call('PEXPIRE', w.held, math.max(w.span * 2, 1000))
  if w.grains then redis.call('PEXPIRE', w.grains, w.span * 2) end
end

local function level_of(w)
  local level = redis.call('HGET', w.held, 'level')
  if not level then return w.limit end
  return math.min(tonumber(level) + (now - number(w.held, 'at')) * w.rate, w.limit)
end

local function set_level(w, level)
  redis.call('HSET', w.held, 'level', tostring(math.min(level, w.limit)), 'at', now)
  keep(w)
end

local function others_of(w)
  local foreign = number(w.held, 'f')
  if foreign <= 0 then return 0 end
  return math.max(foreign - (now - number(w.held, 'fa')) * w.rate, 0)
end

local function set_others(w, foreign)
  redis.call('HSET', w.held, 'f', tostring(math.min(foreign, w.limit)), 'fa', now)
  keep(w)
end

local function add(w, cost)
  if w.kind ~= 'w' then
    set_level(w, level_of(w) - cost)
    redis.call('HINCRBY', w.held, 'n', cost)
    return
  end
  local grain = math.floor(now / w.grain)
  if redis.call('HEXISTS', w.held, grain) == 0 then redis.call('RPUSH', w.grains, grain) end
  redis.call('HINCRBY', w.held, grain, cost)
  redis.call('HINCRBY', w.held, 't', cost)
  redis.call('HINCRBY', w.held, 'n', cost)
  keep(w)
end
"""

ACQUIRE: Final = (
    _COMMON
    + """
-- ARGV: lease, lease ms, worker, version of the limits, concurrency (0: none), input, output,
--       then unit, limit, span ms, kind of each window
local lease, lease_ms, worker = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local concurrency, input, output = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local wait, poll = 0, 5

local version = redis.call('HGET', KEYS[2], 'version')
if version then
  redis.call('PEXPIRE', KEYS[2], """
    + _DAY
    + """)
  if version ~= ARGV[4] then return {2, version, redis.call('HGETALL', KEYS[2])} end
end
if redis.call('EXISTS', base .. ':undone:' .. lease) == 1 then return {0, 1000, 0} end
redis.call('ZREMRANGEBYSCORE', base .. ':leases', '-inf', now)
for _, dead in ipairs(redis.call('ZRANGEBYSCORE', base .. ':alive', '-inf', now)) do
  redis.call('ZREM', base .. ':queue', dead)
  redis.call('ZREM', base .. ':alive', dead)
end
local rank = redis.call('ZRANK', base .. ':queue', worker)
local ahead = rank or redis.call('ZCARD', base .. ':queue')
local frozen = math.max(tonumber(redis.call('GET', base .. ':frozen') or '0') - now, 0)
wait = frozen

local all = windows(8)
-- Who is further back in the queue may go only if there is enough for those before it too.
for _, w in ipairs(all) do
  local cost = cost_of(w.unit, input, output)
  local wanted = math.min(cost * (ahead + 1), math.max(w.limit, cost))
  if w.kind ~= 'w' then
    local missing = math.min(wanted, w.limit) - level_of(w)
    if missing > 0 then wait = math.max(wait, math.ceil(missing / w.rate), 1) end
  else
    if cost > w.limit then return {-1, 0, w.unit, cost, w.limit, w.span} end
    while true do
      local grain = redis.call('LINDEX', w.grains, 0)
      if not grain or (grain + 1) * w.grain + w.span > now then break end
      redis.call('LPOP', w.grains)
      redis.call('HINCRBY', w.held, 't', -number(w.held, grain))
      redis.call('HDEL', w.held, grain)
    end
    local others = others_of(w)
    local over = number(w.held, 't') + others + wanted - w.limit
    if over > 0 then
      local until_free = nil
      for _, grain in ipairs(redis.call('LRANGE', w.grains, 0, -1)) do
        local gone = (grain + 1) * w.grain + w.span - now
        local worn = math.min(others, gone * w.rate)
        if over <= worn then break end
        over = over - number(w.held, grain)
        if over <= worn then
          until_free = gone
          break
        end
      end
      wait = math.max(wait, until_free or math.ceil(over / w.rate), poll)
    end
  end
end
if concurrency > 0 and redis.call('ZCARD', base .. ':leases') + ahead + 1 > concurrency then
  wait = math.max(wait, poll)
end
if wait > 0 then
  -- Nobody sleeps long behind others: the place before it may become free at any time.
  if ahead > 0 then wait = math.min(wait, 50) end
  if not rank then
    redis.call('ZADD', base .. ':queue', redis.call('INCR', base .. ':ticket'), worker)
  end
  redis.call('ZADD', base .. ':alive', now + math.min(wait, 1000) + 2000, worker)
  for _, name in ipairs({':queue', ':alive', ':ticket'}) do redis.call('PEXPIRE', base .. name, 3600000) end
  return {0, wait, frozen}
end
local taken = {1, now}
for _, w in ipairs(all) do
  add(w, cost_of(w.unit, input, output))
  local left = w.kind == 'w' and w.limit - number(w.held, 't') or math.floor(level_of(w))
  for _, value in ipairs({w.unit, math.floor(w.limit), w.span, w.kind, left, number(w.held, 'n')}) do
    taken[#taken + 1] = value
  end
end
redis.call('ZADD', base .. ':leases', now + lease_ms, lease)
redis.call('PEXPIRE', base .. ':leases', lease_ms * 4)
redis.call('ZREM', base .. ':queue', worker)
redis.call('ZREM', base .. ':alive', worker)
return taken
"""
)

SETTLE: Final = (
    _COMMON
    + """
-- ARGV: lease, granted ms, request (0 undoes it), input, output, used input, used output (-1: unknown), freeze ms,
--       number of learnt windows, number of sightings, of each learnt one unit, limit, span ms, kind, remaining
--       (-1: unknown), of each sighting unit, span ms, kind, remaining, left and total when it was granted,
--       then unit, limit, span ms, kind of each window
-- Who was cancelled while asking does not know whether it was granted, and says minus the lease's ms. The question
-- itself may still be on its way, and is then answered with no.
local granted, request = tonumber(ARGV[2]), ARGV[3] == '1'
local input, output = tonumber(ARGV[4]), tonumber(ARGV[5])
local used_input, used_output = tonumber(ARGV[6]), tonumber(ARGV[7])
local freeze, learnt, seen = tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
local sightings = 11 + learnt * 5
local rest = sightings + seen * 6

if freeze > 0 and now + freeze > tonumber(redis.call('GET', base .. ':frozen') or '0') then
  redis.call('SET', base .. ':frozen', now + freeze, 'PX', freeze)
end
local all, by_name = windows(rest)
for i = sightings, rest - 1, 6 do
  for _, w in ipairs(all) do
    if w.unit == ARGV[i] and w.span == tonumber(ARGV[i + 1]) and w.kind == ARGV[i + 2] then
      -- What was taken since may be in what the provider says or not, and so may what came back.
      local since = math.max(number(w.held, 'n') - tonumber(ARGV[i + 5]), math.floor((now - granted) * w.rate))
      local foreign = tonumber(ARGV[i + 4]) - since - tonumber(ARGV[i + 3])
      if foreign > 0 and w.kind == 'w' and foreign > others_of(w) then set_others(w, foreign) end
      if foreign > 0 and w.kind ~= 'w' then add(w, foreign) end
    end
  end
end
for i = 11, sightings - 1, 5 do
  local unit, limit, span, kind, remaining = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], tonumber(ARGV[i + 4])
  local field = kind == 'w' and unit .. ':' .. span or unit .. ':' .. kind
  local new = redis.call('HSET', base .. ':learnt', field, unit .. ':' .. limit .. ':' .. span .. ':' .. kind) == 1
  redis.call('PEXPIRE', base .. ':learnt', """
    + _DAY
    + """)
  -- Of what went before there is no count here: what is not left was taken by somebody.
  local w = named(unit, limit, span, kind)
  if new and remaining >= 0 and not by_name[w.held] then
    if kind == 'w' then set_others(w, w.limit - remaining) else set_level(w, remaining) end
  end
end
local expires = redis.call('ZSCORE', base .. ':leases', ARGV[1])
if not expires then
  if granted < 0 then redis.call('SET', base .. ':undone:' .. ARGV[1], 1, 'PX', 30000) end
  return 0
end
if granted < 0 then granted = tonumber(expires) + granted end
redis.call('ZREM', base .. ':leases', ARGV[1])
for _, w in ipairs(all) do
  local reserved, used = cost_of(w.unit, input, output), nil
  if w.unit == 'requests' then
    used = request and 1 or 0
  else
    used = used_input >= 0 and cost_of(w.unit, used_input, used_output) or reserved
  end
  if used > reserved then
    add(w, used - reserved)
  elseif used < reserved and w.kind ~= 'w' then
    set_level(w, level_of(w) + reserved - used)
  elseif used < reserved then
    local slot = math.floor(granted / w.grain)
    if redis.call('HEXISTS', w.held, slot) == 1 then
      redis.call('HINCRBY', w.held, slot, used - reserved)
      redis.call('HINCRBY', w.held, 't', used - reserved)
    end
  end
end
return 1
"""
)

RENEW: Final = """
local time = redis.call('TIME')
local until_ms = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[1])
for i = 2, #ARGV do redis.call('ZADD', KEYS[1] .. ':leases', 'XX', until_ms, ARGV[i]) end
redis.call('PEXPIRE', KEYS[1] .. ':leases', ARGV[1] * 4)
return 1
"""

LEAVE: Final = """
redis.call('ZREM', KEYS[1] .. ':queue', ARGV[1])
redis.call('ZREM', KEYS[1] .. ':alive', ARGV[1])
return 1
"""

PUBLISH: Final = (
    """
-- ARGV: version, then whose limits and the limits, both as JSON
for i = 2, #ARGV, 2 do redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1]) end
redis.call('HSET', KEYS[2], 'version', ARGV[1])
redis.call('PEXPIRE', KEYS[2], """
    + _DAY
    + """)
return 1
"""
)
