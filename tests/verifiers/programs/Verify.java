import java.io.ByteArrayInputStream;
import java.net.InetAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;
import java.util.Scanner;
import java.util.concurrent.CompletableFuture;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLServerSocket;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManager;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509ExtendedTrustManager;

/**
 * Shakes hands over loopback for each case: one line of standard input, its fields separated by tabs (role, host,
 * trust, certificate, key). Prints a line for each: why the verifying side refused, empty if it did not.
 */
public final class Verify {
    public static void main(String[] arguments) throws Exception {
        var input = new Scanner(System.in, StandardCharsets.UTF_8);
        while (input.hasNextLine()) {
            var fields = input.nextLine().split("\t");
            System.out.println(refusal(fields[0].equals("server"), fields[1], fields[2], fields[3], fields[4]));
        }
    }

    private static String refusal(boolean verifiesServer, String host, String trust, String certificate, String key)
            throws Exception {
        var presenting = context(certificate, key, trusting());
        var verifying = context(certificate, key, anchors(trust));
        var context = verifiesServer ? presenting : verifying;
        try (var server = (SSLServerSocket) context.getServerSocketFactory()
                .createServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            server.setNeedClientAuth(!verifiesServer);
            var accepted = CompletableFuture.supplyAsync(() -> shakeHands(server));
            var called = call(verifiesServer ? verifying : presenting, server.getLocalPort(), host, verifiesServer);
            return verifiesServer ? called : accepted.get();
        }
    }

    private static String shakeHands(SSLServerSocket server) {
        try (var socket = (SSLSocket) server.accept()) {
            socket.setSoTimeout(5000);
            socket.startHandshake();
            return "";
        } catch (Exception error) {
            return String.valueOf(error.getMessage());
        }
    }

    private static String call(SSLContext context, int port, String host, boolean verifies) {
        try (var plain = new java.net.Socket(InetAddress.getLoopbackAddress(), port);
                var socket = (SSLSocket) context.getSocketFactory().createSocket(plain, host, port, true)) {
            socket.setSoTimeout(5000);
            var parameters = new SSLParameters();
            parameters.setProtocols(new String[] {"TLSv1.3"});
            parameters.setEndpointIdentificationAlgorithm(verifies ? "HTTPS" : null);
            socket.setSSLParameters(parameters);
            socket.startHandshake();
            return "";
        } catch (Exception error) {
            return String.valueOf(error.getMessage());
        }
    }

    private static SSLContext context(String certificate, String key, TrustManager... trust) throws Exception {
        var password = "unused".toCharArray();
        var store = KeyStore.getInstance("PKCS12");
        store.load(null, null);
        store.setKeyEntry("one", privateKey(key), password, certificates(certificate));
        var keys = KeyManagerFactory.getInstance("PKIX");
        keys.init(store, password);
        var context = SSLContext.getInstance("TLSv1.3");
        context.init(keys.getKeyManagers(), trust, null);
        return context;
    }

    private static TrustManager[] anchors(String path) throws Exception {
        var store = KeyStore.getInstance("PKCS12");
        store.load(null, null);
        for (var anchor : certificates(path)) {
            store.setCertificateEntry("anchor " + store.size(), anchor);
        }
        var trust = TrustManagerFactory.getInstance("PKIX");
        trust.init(store);
        return trust.getTrustManagers();
    }

    private static Certificate[] certificates(String path) throws Exception {
        var pem = new ByteArrayInputStream(Files.readAllBytes(Path.of(path)));
        return CertificateFactory.getInstance("X.509").generateCertificates(pem).toArray(Certificate[]::new);
    }

    private static PrivateKey privateKey(String path) throws Exception {
        var pem = Files.readString(Path.of(path)).replaceAll("-----[^-]+-----|\\s", "");
        var encoded = new PKCS8EncodedKeySpec(Base64.getDecoder().decode(pem));
        for (var algorithm : new String[] {"EC", "RSA", "Ed25519"}) {
            try {
                return KeyFactory.getInstance(algorithm).generatePrivate(encoded);
            } catch (java.security.spec.InvalidKeySpecException another) {
                continue;
            }
        }
        throw new IllegalArgumentException("no kind of key that is known");
    }

    /** The presenting side trusts everybody: only the other one is asked. */
    private static TrustManager trusting() {
        return new X509ExtendedTrustManager() {
            public void checkClientTrusted(java.security.cert.X509Certificate[] chain, String type) {}

            public void checkServerTrusted(java.security.cert.X509Certificate[] chain, String type) {}

            public void checkClientTrusted(
                    java.security.cert.X509Certificate[] chain, String type, java.net.Socket socket) {}

            public void checkServerTrusted(
                    java.security.cert.X509Certificate[] chain, String type, java.net.Socket socket) {}

            public void checkClientTrusted(
                    java.security.cert.X509Certificate[] chain, String type, javax.net.ssl.SSLEngine engine) {}

            public void checkServerTrusted(
                    java.security.cert.X509Certificate[] chain, String type, javax.net.ssl.SSLEngine engine) {}

            public java.security.cert.X509Certificate[] getAcceptedIssuers() {
                return new java.security.cert.X509Certificate[0];
            }
        };
    }
}
