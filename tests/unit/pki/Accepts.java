import java.io.FileInputStream;
import java.io.InputStream;
import java.security.KeyStore;
import java.security.cert.CertificateException;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509TrustManager;

/** Prints, for each "role anchor.pem chain.pem" given, whether Java's own trust manager accepts the chain. */
class Accepts {
    public static void main(String[] arguments) throws Exception {
        for (int i = 0; i < arguments.length; i += 3) {
            X509TrustManager manager = trusting(read(arguments[i + 1])[0]);
            X509Certificate[] chain = read(arguments[i + 2]);
            try {
                if (arguments[i].equals("server")) {
                    manager.checkServerTrusted(chain, "UNKNOWN");
                } else {
                    manager.checkClientTrusted(chain, "UNKNOWN");
                }
                System.out.println("accepted");
            } catch (CertificateException refusal) {
                System.out.println("refused");
            }
        }
    }

    static X509TrustManager trusting(X509Certificate anchor) throws Exception {
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(null, null);
        store.setCertificateEntry("anchor", anchor);
        TrustManagerFactory factory = TrustManagerFactory.getInstance("PKIX");
        factory.init(store);
        return (X509TrustManager) factory.getTrustManagers()[0];
    }

    static X509Certificate[] read(String path) throws Exception {
        try (InputStream file = new FileInputStream(path)) {
            return CertificateFactory.getInstance("X.509").generateCertificates(file).toArray(new X509Certificate[0]);
        }
    }
}
