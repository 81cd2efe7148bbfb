// Shakes hands over loopback for each case and prints, in order, why the verifying side refused; "" if not.
import { readFileSync } from 'node:fs';
import tls from 'node:tls';

const read = (one) => ({ cert: readFileSync(one.certificate), key: readFileSync(one.key) });

function shakeHands(one) {
  const verifiesServer = one.role === 'server';
  const own = read(one);
  const server = tls.createServer({
    ...own,
    ...(verifiesServer ? {} : { ca: readFileSync(one.trust), requestCert: true, rejectUnauthorized: true }),
  });
  return new Promise((resolve) => {
    let client;
    const end = (refusal) => {
      client?.destroy();
      server.close();
      resolve(refusal);
    };
    server.on('tlsClientError', (error) => verifiesServer || end(error.message));
    server.on('secureConnection', (socket) => {
      socket.on('error', () => {});
      if (!verifiesServer) end(socket.authorized ? '' : String(socket.authorizationError));
    });
    server.listen(0, '127.0.0.1', () => {
      client = tls.connect({
        host: '127.0.0.1',
        port: server.address().port,
        servername: one.host,
        ...(verifiesServer ? { ca: readFileSync(one.trust) } : { ...own, rejectUnauthorized: false }),
      });
      client.on('secureConnect', () => verifiesServer && end(client.authorized ? '' : 'unauthorized'));
      client.on('error', (error) => verifiesServer && end(error.message));
    });
  });
}

const refusals = [];
for (const one of JSON.parse(readFileSync(0, 'utf8'))) refusals.push(await shakeHands(one));
console.log(JSON.stringify(refusals));
