"""Alerts about events on their way: late, lost, refused, held, or with nobody there to take them."""

from typing import Final

from freshet.runtime.metrics import of_services as service
from freshet.runtime.metrics import of_topics as seen
from tools.observability.alert import Alert

_ONE_TO_ONE: Final = 'service=~"ingestion|inference"'
"""These services write one record, or one dead letter, for each that they read."""
_SERVING: Final = "ingestion|inference|registry"
"""Without these nobody is answered, or no model can be taken back."""
_OUTPUTS: Final = 'topic=~"features|labels|predictions|dead-letters"'

STREAM: Final = (
    Alert(
        "FreshetAnswersLate",
        f'{seen.PATH_LAG_SECONDS.name}{{end="prediction"}} > 60',
        "5m",
        "page",
        "The oldest event of {{ $labels.pipeline }} without an answer came {{ $value | humanizeDuration }} ago.",
        "For five minutes now, events have had to wait more than a minute for their prediction. Nothing is lost; "
        "answers are late.",
        "`freshet lag --pipeline P` says who has to read what. `freshet model status --pipeline P` says whether "
        "partitions wait for a model or a schema, and whether workers run.",
        "Start who is missing. If all run and the lag grows, the load is more than the workers can do: add processes, "
        "up to one for each partition. If a partition waits, do what its sentence says.",
    ),
    Alert(
        "FreshetOutcomesLate",
        f'{seen.PATH_LAG_SECONDS.name}{{end="outcome"}} > 900',
        "15m",
        "ticket",
        "Labels and predictions of {{ $labels.pipeline }} wait {{ $value | humanizeDuration }} for the label join.",
        "Quality, alarms and trainings stand on old labels meanwhile. Answers are not affected.",
        "`freshet lag --pipeline P` says which service is behind: ingestion with feedback, or drift-join.",
        "Start it if it is gone (`freshet run drift --pipelines P`). `/ready` of drift says what it waits for.",
    ),
    Alert(
        "FreshetStuckTransaction",
        f"sum by (pipeline, topic) ({seen.STUCK_TRANSACTIONS.name}) > 0",
        "1m",
        "page",
        "A transaction on {{ $labels.topic }} of {{ $labels.pipeline }} does not end: nobody can read what lies "
        "behind it.",
        "A transaction has been open for longer than any of Freshet's may. Readers stop at its first record, for good "
        "if its coordinator has forgotten it. `offsets` as the topic means Kafka's own topic of committed offsets.",
        "`freshet lag --pipeline P` and `freshet doctor` name topic, partition and transactional id.",
        "End the process that has this transactional id. If Kafka says that the coordinator has finished with it, "
        "follow 'A transaction that never ends' in failures.md.",
    ),
    Alert(
        "FreshetServiceGone",
        f'sum by (pipeline, service) ({seen.WORKERS.name}{{state="alive", service=~"{_SERVING}"}}) == 0',
        "1m",
        "page",
        "No process of {{ $labels.service }} is alive for {{ $labels.pipeline }}.",
        "All that have ever told of themselves are silent or have left. Without ingestion or inference events wait; "
        "without the registry models are neither admitted nor rolled back. What is served goes on as it is.",
        "`freshet doctor` says when each was last heard. The log of the process says why it ended.",
        "Start it again: `freshet run SERVICE`. If it ends at once, its exit code is explained in failures.md.",
    ),
    Alert(
        "FreshetHelperGone",
        f'sum by (pipeline, service) ({seen.WORKERS.name}{{state="alive", service!~"{_SERVING}"}}) == 0',
        "15m",
        "ticket",
        "No process of {{ $labels.service }} is alive for {{ $labels.pipeline }}.",
        "Events are answered as before. Without drift nothing is judged and no alarm is raised; without retraining "
        "alarms lead to no training. Where it was stopped for good, this alert ends a week later.",
        "`freshet doctor` says when it was last heard.",
        "Start it again: `freshet run drift --pipelines P`, or `freshet run retraining`.",
    ),
    Alert(
        "FreshetWorkerSilent",
        f'sum by (pipeline, service) ({seen.WORKERS.name}{{state="silent"}}) > 0',
        "10m",
        "ticket",
        "{{ $value }} processes of {{ $labels.service }} for {{ $labels.pipeline }} fell silent without a good-bye.",
        "They were killed, hang, or are cut off. Others have taken their partitions over, if there are others.",
        "`freshet model status --pipeline P` names the workers. Look at the machine and at the log.",
        "Start them again. A slot that shall never come back is forgotten after seven days.",
    ),
    Alert(
        "FreshetNobodyServes",
        f"max by (service, pipeline) ({service.READY.name}) == 0",
        "5m",
        "page",
        "No process of {{ $labels.service }} serves {{ $labels.pipeline }}, though some run.",
        "Each of them says that it is not ready.",
        "`GET /ready` on its port says why: topics are missing, state is being restored, no model is there.",
        "Do what the sentence says. `freshet doctor` looks at topics, schemas and groups.",
    ),
    Alert(
        "FreshetPartitionsWait",
        f"sum by (service, pipeline) ({service.HELD_PARTITIONS.name}) > 0",
        "5m",
        "page",
        "{{ $value }} partitions of {{ $labels.pipeline }} wait in {{ $labels.service }}.",
        "Their records are not read until something is there: a model that is being loaded, or a schema.",
        "`freshet model status --pipeline P` has a sentence for each of them.",
        "If no version can be loaded, go back: `freshet model rollback --pipeline P`. If a schema is missing, publish "
        "it: `freshet schemas publish`.",
    ),
    Alert(
        "FreshetNoEvents",
        f'sum by (pipeline) (increase({service.RECORDS_CONSUMED.name}{{topic="events"}}[1h])) == 0 '
        f'and sum by (pipeline) (increase({service.RECORDS_CONSUMED.name}{{topic="events"}}[1d])) > 0',
        "10m",
        "ticket",
        "No event of {{ $labels.pipeline }} has come for an hour, and there were some within a day.",
        "Producers have stopped, or do not reach Kafka. No detector tells it while it lasts: alarms need records, "
        "and there are none. `stale` tells it once rows come again.",
        "`freshet topic tail events --pipeline P` shows the last events; `freshet lag` whether ingestion reads.",
        "Start the producers. Where a pipeline rests for hours every day, make the hour of this alert longer "
        "than its rest.",
    ),
    Alert(
        "FreshetUnaccounted",
        f"sum by (service, pipeline) ({service.RECORDS_CONSUMED.name}{{{_ONE_TO_ONE}}}) - "
        f"sum by (service, pipeline) ({service.RECORDS_PRODUCED.name}{{{_ONE_TO_ONE}, {_OUTPUTS}}}) != 0",
        "5m",
        "page",
        "{{ $labels.service }} has taken in {{ $value }} more records of {{ $labels.pipeline }} than it has answered.",
        "Every record that is read becomes exactly one record or one dead letter, in one transaction. These counters "
        "say otherwise, so this is a bug in Freshet or in a part of your own.",
        "`freshet verify --pipeline P --last 1h` judges from the topics, and names the records.",
        "Keep the topics and the logs, and report it. `freshet model rollback` if a new part or model came with it.",
    ),
    Alert(
        "FreshetPromiseBroken",
        f"sum by (pipeline, check) ({seen.BREACHES.name}) > 0",
        "0m",
        "page",
        "In {{ $labels.pipeline }}, {{ $value }} times this was not so: {{ $labels.check }}.",
        "`freshet verify`, which `freshet observe --verify` runs over what came in lately, found inputs that were "
        "lost, answered twice, or answered by another version than history demands.",
        "`freshet verify --pipeline P --last 1h` names them. docs/verify.md says what each check looks at.",
        "Find out what else writes these topics or has reset offsets. Keep the topics and the logs, and report it.",
    ),
    Alert(
        "FreshetManyBadEvents",
        f'sum by (pipeline) (rate({service.DEAD_LETTERS.name}{{topic="events"}}[10m])) > '
        f'0.1 * sum by (pipeline) (rate({service.RECORDS_CONSUMED.name}{{topic="events"}}[10m]))',
        "10m",
        "ticket",
        "More than a tenth of the events of {{ $labels.pipeline }} are refused.",
        "A producer sends what does not fit the pipeline's schema or checks. All of it is kept as dead letters.",
        "`freshet dead-letters list --pipeline P` groups them by reason; `freshet dead-letters show` prints one whole.",
        "Mend the producer, or `freshet apply` a schema that fits. Then send them again: `freshet dead-letters "
        "redrive`.",
    ),
    Alert(
        "FreshetReadsAgain",
        f"sum by (service, pipeline, cause) (increase({service.REWINDS.name}[10m])) > 20",
        "5m",
        "ticket",
        "{{ $labels.service }} drops batches of {{ $labels.pipeline }} and reads them again: {{ $labels.cause }}.",
        "Nothing is lost or repeated, but time is.",
        "The log names each cause. `refused` comes of brokers or of many rebalances, `too_large` of records that a "
        "topic does not take.",
        "Look at Kafka for `refused`. For `too_large` raise the topic's max.message.bytes, or let it be: such rows "
        "end as dead letters.",
    ),
    Alert(
        "FreshetRebalancesOften",
        f"sum by (service, pipeline) (increase({service.REBALANCES.name}[10m])) > 20",
        "5m",
        "ticket",
        "Partitions of {{ $labels.pipeline }} change hands again and again between processes of {{ $labels.service }}.",
        "Processes come and go, and each time partitions stand still for a moment.",
        "Look at restarts: too little memory, probes that fail, or an autoscaler that is too quick.",
        "Mend that. Fixed slots (`--slot`) keep their partitions over a restart.",
    ),
    Alert(
        "FreshetCommitsSlow",
        f"histogram_quantile(0.99, sum by (service, le) (rate({service.COMMIT_SECONDS.name}_bucket[5m]))) > 2",
        "10m",
        "ticket",
        "Transactions of {{ $labels.service }} take more than 2 s.",
        "Answers wait for Kafka.",
        "Look at the brokers' disks, at their replicas, and at the network between.",
        "Mend the brokers. More processes do not help.",
    ),
)
