"""The scripts that Redis runs: each is one atomic step, with Redis's own clock.

A window is a list of grains, oldest first, and a hash of what each grain holds and of their sum (``t``). A grain
counts until its end is a whole span old. ``queue`` orders the workers that wait, ``alive`` drops those that stopped
asking.
"""

from __future__ import annotations

from typing import Final

__all__ = ["ACQUIRE", "LEAVE", "RENEW", "SETTLE"]

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

local function windows(from)
  local found = {}
  for i = from, #ARGV, 3 do
    found[#found + 1] = {unit = ARGV[i], limit = tonumber(ARGV[i + 1]), span = tonumber(ARGV[i + 2])}
  end
  local learnt = redis.call('HGETALL', base .. ':learnt')
  for i = 1, #learnt, 2 do
    local unit, span = string.match(learnt[i], '(.*):(.*)')
    found[#found + 1] = {unit = unit, limit = tonumber(learnt[i + 1]), span = tonumber(span)}
  end
  for _, w in ipairs(found) do
    w.grains = base .. ':' .. w.unit .. ':' .. w.span
    w.held = w.grains .. ':held'
    w.grain = math.max(math.floor(w.span / 240), 1)
  end
  return found
end

local function add(w, grain, cost)
  if redis.call('HEXISTS', w.held, grain) == 0 then redis.call('RPUSH', w.grains, grain) end
  redis.call('HINCRBY', w.held, grain, cost)
  redis.call('HINCRBY', w.held, 't', cost)
  redis.call('PEXPIRE', w.grains, w.span * 2)
  redis.call('PEXPIRE', w.held, w.span * 2)
end
"""

ACQUIRE: Final = (
    _COMMON
    + """
-- ARGV: lease, lease ms, worker, concurrency (0: none), input, output, then unit, limit, span ms of each window
local lease, lease_ms, worker = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local concurrency, input, output = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local wait, poll = 0, 5

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

local all = windows(7)
for _, w in ipairs(all) do
  local cost = cost_of(w.unit, input, output)
  if cost > w.limit then return {-1, 0, w.unit, cost, w.limit, w.span} end
  while true do
    local grain = redis.call('LINDEX', w.grains, 0)
    if not grain or (grain + 1) * w.grain + w.span > now then break end
    redis.call('LPOP', w.grains)
    redis.call('HINCRBY', w.held, 't', -tonumber(redis.call('HGET', w.held, grain) or '0'))
    redis.call('HDEL', w.held, grain)
  end
  -- Who is further back in the queue may go only if there is enough for those before it too.
  local used = tonumber(redis.call('HGET', w.held, 't') or '0')
  local over = used + math.min(cost * (ahead + 1), math.max(w.limit, cost)) - w.limit
  if over > 0 then
    local until_free = poll
    for _, grain in ipairs(redis.call('LRANGE', w.grains, 0, -1)) do
      over = over - tonumber(redis.call('HGET', w.held, grain) or '0')
      until_free = math.max((grain + 1) * w.grain + w.span - now, poll)
      if over <= 0 then break end
    end
    wait = math.max(wait, until_free)
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
for _, w in ipairs(all) do add(w, math.floor(now / w.grain), cost_of(w.unit, input, output)) end
redis.call('ZADD', base .. ':leases', now + lease_ms, lease)
redis.call('PEXPIRE', base .. ':leases', lease_ms * 4)
redis.call('ZREM', base .. ':queue', worker)
redis.call('ZREM', base .. ':alive', worker)
return {1, now}
"""
)

SETTLE: Final = (
    _COMMON
    + """
-- ARGV: lease, granted ms, request (0 undoes it), input, output, used input, used output (-1: unknown), freeze ms,
--       number of learnt windows, their unit, limit, span ms, then unit, limit, span ms of each window
-- Who was cancelled while asking does not know whether it was granted, and says minus the lease's ms. The question
-- itself may still be on its way, and is then answered with no.
local granted, request = tonumber(ARGV[2]), ARGV[3] == '1'
local input, output = tonumber(ARGV[4]), tonumber(ARGV[5])
local used_input, used_output = tonumber(ARGV[6]), tonumber(ARGV[7])
local freeze, count = tonumber(ARGV[8]), tonumber(ARGV[9])

if freeze > 0 and now + freeze > tonumber(redis.call('GET', base .. ':frozen') or '0') then
  redis.call('SET', base .. ':frozen', now + freeze, 'PX', freeze)
end
for i = 10, 9 + count * 3, 3 do
  redis.call('HSET', base .. ':learnt', ARGV[i] .. ':' .. ARGV[i + 2], ARGV[i + 1])
  redis.call('PEXPIRE', base .. ':learnt', 86400000)
end
local expires = redis.call('ZSCORE', base .. ':leases', ARGV[1])
if not expires then
  if granted < 0 then redis.call('SET', base .. ':undone:' .. ARGV[1], 1, 'PX', 30000) end
  return 0
end
if granted < 0 then granted = tonumber(expires) + granted end
redis.call('ZREM', base .. ':leases', ARGV[1])
for _, w in ipairs(windows(10 + count * 3)) do
  local reserved, used = cost_of(w.unit, input, output), nil
  if w.unit == 'requests' then
    used = request and 1 or 0
  else
    used = used_input >= 0 and cost_of(w.unit, used_input, used_output) or reserved
  end
  local slot = math.floor(granted / w.grain)
  if used > reserved then
    add(w, math.floor(now / w.grain), used - reserved)
  elseif used < reserved and redis.call('HEXISTS', w.held, slot) == 1 then
    redis.call('HINCRBY', w.held, slot, used - reserved)
    redis.call('HINCRBY', w.held, 't', used - reserved)
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
