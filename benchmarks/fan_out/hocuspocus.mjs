// Hocuspocus on a free port of this machine, which it prints; without extensions, so nothing is stored.
import { Server } from "@hocuspocus/server";

const server = new Server({ address: "127.0.0.1", port: 0, quiet: true, stopOnSignals: false });
await server.listen();
console.log(server.address.port);
