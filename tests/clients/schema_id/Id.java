import java.nio.ByteBuffer;
import java.security.MessageDigest;

class Id {
    public static void main(String[] arguments) throws Exception {
        byte[] canonical = System.in.readAllBytes(); // what SchemaNormalization.toParsingForm(schema) gives, in UTF-8
        byte[] digest = MessageDigest.getInstance("SHA-256").digest(canonical);
        System.out.println(ByteBuffer.wrap(digest).getInt() >>> 2 | 1 << 30);
    }
}
