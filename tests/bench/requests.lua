-- For wrk: sends the requests of the file that REQUESTS names, in turn, and prints a line of JSON at the end.
-- The file has each request's length in a line of its own before its bytes.
local requests, turn = {}, 0

function init()
  local file = assert(io.open(os.getenv("REQUESTS"), "rb"))
  local size = file:read("*l")
  while size do
    requests[#requests + 1] = file:read(tonumber(size))
    size = file:read("*l")
  end
  file:close()
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end

function done(summary, latency)
  local failed = summary.errors
  io.write(string.format(
    '\n{"requests": %d, "microseconds": %d, "errors": %d, "p50": %.1f, "p99": %.1f}\n',
    summary.requests, summary.duration,
    failed.connect + failed.read + failed.write + failed.status + failed.timeout,
    latency:percentile(50), latency:percentile(99)))
end
