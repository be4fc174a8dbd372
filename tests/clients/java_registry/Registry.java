// Confluent's Java client of a schema registry, and Flink's deserializer over it: what Java programs ask for.
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.Base64;
import java.util.List;
import org.apache.flink.avro.registry.confluent.shaded.io.confluent.kafka.schemaregistry.avro.AvroSchema;
import org.apache.flink.avro.registry.confluent.shaded.io.confluent.kafka.schemaregistry.client.CachedSchemaRegistryClient;
import org.apache.flink.avro.registry.confluent.shaded.io.confluent.kafka.schemaregistry.client.rest.RestService;
import org.apache.flink.avro.registry.confluent.shaded.io.confluent.kafka.schemaregistry.client.rest.exceptions.RestClientException;
import org.apache.flink.formats.avro.registry.confluent.ConfluentRegistryAvroDeserializationSchema;

class Registry {
    // read REGISTRY SUBJECT, values in base64 on standard input; or calls REGISTRY SUBJECT
    public static void main(String[] given) throws Exception {
        if (given[0].equals("read")) {
            read(given[1], given[2]);
        } else {
            calls(new RestService(given[1]), given[2]);
            cached(new CachedSchemaRegistryClient(given[1], 100), given[2]);
        }
    }

    /** Each value as the subject's newest schema reads it; the one that wrote it is found by its id. */
    static void read(String registry, String subject) throws Exception {
        String newest = new RestService(registry).getLatestVersion(subject).getSchema();
        var reader = new org.apache.flink.avro.shaded.org.apache.avro.Schema.Parser().parse(newest);
        var deserializer = ConfluentRegistryAvroDeserializationSchema.forGeneric(reader, registry);
        var lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line; (line = lines.readLine()) != null; ) {
            System.out.println(deserializer.deserialize(Base64.getDecoder().decode(line)));
        }
    }

    /** The calls of AKHQ, one after the other, and what it must not be able to do. */
    static void calls(RestService rest, String subject) throws Exception {
        var newest = rest.getLatestVersion(subject);
        say("subjects", rest.getAllSubjects().contains(subject));
        say("prefix", rest.getAllSubjects(subject, false).equals(List.of(subject)));
        say("versions", rest.getAllVersions(subject));
        say("version", rest.getVersion(subject, newest.getVersion()).getId().equals(newest.getId()));
        say("type", newest.getSchemaType());
        say("schema only", rest.getLatestVersionSchemaOnly(subject).contains("\"record\""));
        say("config", rest.getConfig(subject).getCompatibilityLevel());
        say("global config", rest.getConfig(null).getCompatibilityLevel());
        say("mode", rest.getMode().getMode());
        say("types", rest.getSchemaTypes());
        say("id", rest.getId(newest.getId()).getSchemaString().equals(newest.getSchema()));
        say("id of", rest.getAllSubjectsById(newest.getId()));
        say("places of", rest.getAllVersionsById(newest.getId()).size());
        say("referenced", rest.getReferencedBy(subject, newest.getVersion()));
        say("look-up", rest.lookUpSubjectVersion(newest.getSchema(), subject, true).getVersion());
        say("compatible", rest.testCompatibility(newest.getSchema(), subject, "latest"));
        say("incompatible", rest.testCompatibility("{\"type\":\"record\",\"name\":\"X\",\"fields\":[]}", subject, "latest").isEmpty());
        say("missing", code(() -> rest.getLatestVersion("nobody-value")));
        say("register", code(() -> rest.registerSchema("\"string\"", subject)));
        say("delete", code(() -> rest.deleteSubject(java.util.Map.of(), subject)));
        say("configure", code(() -> rest.updateCompatibility("NONE", subject)));
    }

    /** The calls of Kafka UI's deserializer, and of a serializer that registers by itself. */
    static void cached(CachedSchemaRegistryClient client, String subject) throws Exception {
        var newest = client.getLatestSchemaMetadata(subject);
        var schema = new AvroSchema(newest.getSchema());
        say("by id", client.getSchemaById(newest.getId()).canonicalString().equals(schema.canonicalString()));
        say("by subject and id", client.getSchemaBySubjectAndId(subject, newest.getId()).schemaType());
        say("registered", client.register(subject, schema) == newest.getId());
        say("id of schema", client.getId(subject, schema) == newest.getId());
    }

    interface Call {
        Object make() throws Exception;
    }

    static int code(Call call) throws Exception {
        try {
            call.make();
            return 0;
        } catch (RestClientException refused) {
            return refused.getErrorCode();
        }
    }

    static void say(String what, Object answer) {
        System.out.println(what + ": " + answer);
    }
}
