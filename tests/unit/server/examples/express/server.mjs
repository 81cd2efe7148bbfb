// Express on loopback: serve it by `mtls-server --dir certs upstream http://127.0.0.1:8080`.
// Nobody else may reach the port, since whoever does can write these fields.
import { X509Certificate } from "node:crypto";
import express from "express";

const app = express();

app.use((request, _response, next) => {
  const der = Buffer.from(request.get("Client-Cert").slice(1, -1), "base64");
  request.caller = {
    client: request.get("X-Mtls-Client"),
    roles: request.get("X-Mtls-Roles").split(", ").filter(Boolean),
    certificate: new X509Certificate(der),
  };
  next();
});

app.get("/", (request, response) => {
  const { client, roles, certificate } = request.caller;
  response.json({ client, roles, subject: certificate.subject, fingerprint: certificate.fingerprint256 });
});

app.get("/admin", (request, response) => {
  if (!request.caller.roles.includes("admin")) return response.status(403).send("admins only");
  return response.json({ admin: request.caller.client });
});

app.post("/upload", (request, response) => {
  let bytes = 0;
  request.on("data", (piece) => (bytes += piece.length));
  request.on("end", () => response.json({ bytes }));
});

const server = app.listen(Number(process.env.PORT ?? 8080), "127.0.0.1", () => {
  console.log(server.address().port);
});
