//! Events in (one JSON object a line on standard input), predictions out, with what `freshet schemas serve` says.

use std::collections::HashMap;
use std::env::args;
use std::error::Error;
use std::io::stdin;
use std::process::id as process_id;
use std::time::Duration;

use apache_avro::types::Value;
use apache_avro::{from_avro_datum, to_avro_datum, Schema};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::Message;
use serde::Deserialize;

type Outcome<T> = Result<T, Box<dyn Error>>;

#[derive(Deserialize)]
struct Known {
    id: Option<u32>, // not told where it was asked for by its id
    schema: String,
}

/// produce BOOTSTRAP REGISTRY TOPIC KEY-FIELD, or read BOOTSTRAP REGISTRY TOPIC COUNT.
fn main() -> Outcome<()> {
    let given: Vec<String> = args().collect();
    match given[1].as_str() {
        "produce" => produce(&given[2], &given[3], &given[4], &given[5]),
        _ => read(&given[2], &given[3], &given[4], given[5].parse()?),
    }
}

fn produce(bootstrap: &str, registry: &str, topic: &str, key_field: &str) -> Outcome<()> {
    let known = get(&format!(
        "{registry}/subjects/{topic}-value/versions/latest"
    ))?;
    let schema = Schema::parse_str(&known.schema)?;
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .create()?;

    let frame = known.id.ok_or("the registry tells no id")?.to_be_bytes();
    for line in stdin().lines() {
        let event: serde_json::Value = serde_json::from_str(&line?)?;
        let key = event[key_field]
            .as_str()
            .ok_or("the key is no text")?
            .to_owned();
        let body = to_avro_datum(&schema, Value::from(event).resolve(&schema)?)?;
        let value = [&[0], &frame[..], &body[..]].concat();
        producer
            .send(BaseRecord::to(topic).key(&key).payload(&value))
            .map_err(|(error, _)| error)?;
    }
    Ok(producer.flush(Duration::from_secs(30))?)
}

fn read(bootstrap: &str, registry: &str, topic: &str, count: usize) -> Outcome<()> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", format!("client-{}", process_id())) // and reads committed records, by default
        .set("auto.offset.reset", "earliest")
        .create()?;
    consumer.subscribe(&[topic])?;

    let mut schemas = HashMap::new();
    let mut seen = 0;
    while seen < count {
        let Some(record) = consumer.poll(Duration::from_secs(1)) else {
            continue;
        };
        let record = record?;
        let value = record.payload().ok_or("a record without a value")?;
        let id = u32::from_be_bytes(value[1..5].try_into()?);
        if !schemas.contains_key(&id) {
            let known = get(&format!("{registry}/schemas/ids/{id}"))?;
            schemas.insert(id, Schema::parse_str(&known.schema)?);
        }
        let prediction = from_avro_datum(&schemas[&id], &mut &value[5..], None)?;
        println!("{}", serde_json::Value::try_from(prediction)?);
        seen += 1;
    }
    Ok(())
}

fn get(address: &str) -> Outcome<Known> {
    Ok(ureq::get(address).call()?.into_json()?)
}
