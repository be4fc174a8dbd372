import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Scanner;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** Events in (one JSON object a line on standard input), predictions out, with what `freshet schemas serve` says. */
class Client {
    static final ObjectMapper JSON = new ObjectMapper();
    static final HttpClient HTTP = HttpClient.newHttpClient();

    /** produce BOOTSTRAP REGISTRY TOPIC KEY-FIELD, or read BOOTSTRAP REGISTRY TOPIC COUNT. */
    public static void main(String[] arguments) throws Exception {
        if (arguments[0].equals("produce")) {
            produce(arguments[1], arguments[2], arguments[3], arguments[4]);
        } else {
            read(arguments[1], arguments[2], arguments[3], Integer.parseInt(arguments[4]));
        }
    }

    static void produce(String bootstrap, String registry, String topic, String keyField) throws Exception {
        JsonNode known = get(registry + "/subjects/" + topic + "-value/versions/latest");
        Schema schema = new Schema.Parser().parse(known.get("schema").asText());
        var writer = new GenericDatumWriter<GenericRecord>(schema);
        var parser = new GenericDatumReader<GenericRecord>(schema);

        var settings = new Properties();
        settings.put("bootstrap.servers", bootstrap);
        try (var producer = new KafkaProducer<>(settings, new StringSerializer(), new ByteArraySerializer());
                var lines = new Scanner(System.in)) {
            while (lines.hasNextLine()) {
                String line = lines.nextLine();
                GenericRecord event = parser.read(null, DecoderFactory.get().jsonDecoder(schema, line));
                var value = new ByteArrayOutputStream();
                var frame = new DataOutputStream(value);
                frame.writeByte(0);
                frame.writeInt(known.get("id").asInt());
                var encoder = EncoderFactory.get().directBinaryEncoder(frame, null);
                writer.write(event, encoder);
                String key = event.get(keyField).toString();
                producer.send(new ProducerRecord<>(topic, key, value.toByteArray()));
            }
            producer.flush();
        }
    }

    static void read(String bootstrap, String registry, String topic, int count) throws Exception {
        var settings = new Properties();
        settings.put("bootstrap.servers", bootstrap);
        settings.put("isolation.level", "read_committed");
        settings.put("auto.offset.reset", "earliest");
        settings.put("group.id", "client-" + System.nanoTime());
        Map<Integer, GenericDatumReader<GenericRecord>> readers = new HashMap<>();
        try (var consumer = new KafkaConsumer<>(settings, new StringDeserializer(), new ByteArrayDeserializer())) {
            consumer.subscribe(List.of(topic));
            for (int seen = 0; seen < count; ) {
                for (var record : consumer.poll(Duration.ofMillis(500))) {
                    int id = ByteBuffer.wrap(record.value()).getInt(1);
                    if (!readers.containsKey(id)) {
                        String text = get(registry + "/schemas/ids/" + id).get("schema").asText();
                        readers.put(id, new GenericDatumReader<>(new Schema.Parser().parse(text)));
                    }
                    var body = DecoderFactory.get().binaryDecoder(record.value(), 5, record.value().length - 5, null);
                    System.out.println(readers.get(id).read(null, body));
                    seen++;
                }
            }
        }
    }

    static JsonNode get(String address) throws Exception {
        var answer = HTTP.send(HttpRequest.newBuilder(URI.create(address)).build(), BodyHandlers.ofString());
        if (answer.statusCode() != 200) {
            throw new IllegalStateException(address + ": " + answer.body());
        }
        return JSON.readTree(answer.body());
    }
}
