// A receiver in a process of its own: reads requests to their end and answers 200 with an empty body.
import { createServer } from "node:http"

const server = createServer((request, response) => {
  request.resume()
  request.on("end", () => response.writeHead(200, { "content-type": request.headers["content-type"] ?? "application/json" }).end(request.headers["content-type"] === "application/json" ? "{}" : ""))
})
server.listen(0, "127.0.0.1", () => process.send?.(server.address().port))
process.on("disconnect", () => process.exit(0))
