-- wrk's side of /echo: a body of 16 KiB in each request.
wrk.method = "POST"
wrk.body = string.rep("z", 16384)
wrk.headers["Content-Type"] = "application/octet-stream"
