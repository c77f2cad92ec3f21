import { DgramSocket } from "node-unix-socket"

// A receiver of Unix datagrams in a process of its own, so that it can be stopped. Prints every datagram as a line of JSON.
const socket = new DgramSocket()
socket.on("data", (bytes: Buffer) => void process.stdout.write(`${JSON.stringify(String(bytes))}\n`))
socket.bind(process.argv[2]!)
process.stdout.write("\"up\"\n")
