// One mutual TLS handshake over loopback; prints "accepted", or why the peer's certificate was refused.
import { readFileSync } from 'node:fs';
import { connect, createServer } from 'node:tls';

const [directory, servername] = process.argv.slice(2);
const read = (name) => readFileSync(`${directory}/${name}`);
const say = (text) => { console.log(text); process.exit(); };

const server = createServer({
  key: read('server.key'), cert: read('server.crt'), ca: read('client-ca.crt'),
  requestCert: true, rejectUnauthorized: false, minVersion: 'TLSv1.3', // so that the reason can be read
}, (socket) => say(socket.authorized ? 'accepted' : socket.authorizationError));

server.listen(0, '127.0.0.1', () => {
  const socket = connect({
    port: server.address().port, host: '127.0.0.1', servername,
    key: read('client.key'), cert: read('client.crt'), ca: read('server-ca.crt'),
  });
  socket.on('error', (error) => say(error.code));
});
