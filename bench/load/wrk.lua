-- What wrk sends beyond its command line, and its figures in one line.
--
-- Arguments behind `--`, each NAME=VALUE:
--   upload=N    POST with a body of N bytes
--   close=1     Connection: close, so that every request has a connection of its own
--   depth=N     N requests at once on each connection (pipelining)
--   services=N  a path drawn at random from /s0/bench to /s(N-1)/bench for each request
-- Without services and depth the request is made once, before the clock starts.

local function given(args)
   local named = {}
   for _, word in ipairs(args) do
      local name, value = word:match("^(%w+)=(%d+)$")
      if not name then error("not understood: " .. word) end
      named[name] = tonumber(value)
   end
   return named
end

function init(args)
   local asked = given(args)
   if asked.upload then
      wrk.method = "POST"
      wrk.body = string.rep("x", asked.upload)
      wrk.headers["Content-Type"] = "application/octet-stream"
   end
   if asked.close then wrk.headers["Connection"] = "close" end
   if asked.depth then
      local batch = string.rep(wrk.format(), asked.depth)
      request = function() return batch end
   end
   if asked.services then
      local requests, count = {}, asked.services
      for number = 0, count - 1 do
         requests[number] = wrk.format(nil, "/s" .. number .. "/bench")
      end
      request = function() return requests[math.random(0, count - 1)] end
   end
end

function done(summary, latency, requests)
   local errors = summary.errors
   io.write(string.format(
      "figures p50_us %d p99_us %d p999_us %d errors %d\n",
      latency:percentile(50), latency:percentile(99), latency:percentile(99.9),
      errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
