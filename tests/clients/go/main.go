// Events in (one JSON object a line on standard input), predictions out, with what `freshet schemas serve` says.
package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"

	"github.com/linkedin/goavro/v2"
	"github.com/twmb/franz-go/pkg/kgo"
)

// produce BOOTSTRAP REGISTRY TOPIC KEY-FIELD, or read BOOTSTRAP REGISTRY TOPIC COUNT.
func main() {
	bootstrap, registry, topic := os.Args[2], os.Args[3], os.Args[4]
	if os.Args[1] == "produce" {
		produce(bootstrap, registry, topic, os.Args[5])
	} else {
		count, err := strconv.Atoi(os.Args[5])
		check(err)
		read(bootstrap, registry, topic, count)
	}
}

func produce(bootstrap, registry, topic, keyField string) {
	known := get(registry + "/subjects/" + topic + "-value/versions/latest")
	codec, err := goavro.NewCodec(known.Schema)
	check(err)
	client, err := kgo.NewClient(kgo.SeedBrokers(bootstrap), kgo.DefaultProduceTopic(topic))
	check(err)
	defer client.Close()

	frame := binary.BigEndian.AppendUint32([]byte{0}, known.ID)
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		event, _, err := codec.NativeFromTextual(lines.Bytes())
		check(err)
		value, err := codec.BinaryFromNative(append([]byte{}, frame...), event)
		check(err)
		key := event.(map[string]any)[keyField].(string)
		record := &kgo.Record{Key: []byte(key), Value: value}
		client.Produce(context.Background(), record, func(_ *kgo.Record, err error) { check(err) })
	}
	check(client.Flush(context.Background()))
}

func read(bootstrap, registry, topic string, count int) {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(bootstrap),
		kgo.ConsumeTopics(topic),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
	)
	check(err)
	defer client.Close()

	codecs := map[uint32]*goavro.Codec{}
	for seen := 0; seen < count; {
		fetches := client.PollFetches(context.Background())
		check(fetches.Err())
		fetches.EachRecord(func(record *kgo.Record) {
			id := binary.BigEndian.Uint32(record.Value[1:5])
			if codecs[id] == nil {
				codecs[id], err = goavro.NewCodec(get(fmt.Sprintf("%s/schemas/ids/%d", registry, id)).Schema)
				check(err)
			}
			prediction, _, err := codecs[id].NativeFromBinary(record.Value[5:])
			check(err)
			text, err := json.Marshal(prediction)
			check(err)
			fmt.Println(string(text))
			seen++
		})
	}
}

type schema struct {
	ID     uint32 `json:"id"`
	Schema string `json:"schema"`
}

func get(address string) schema {
	answer, err := http.Get(address)
	check(err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	check(err)
	if answer.StatusCode != http.StatusOK {
		log.Fatalf("%s: %s", address, text)
	}
	var found schema
	check(json.Unmarshal(text, &found))
	return found
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
