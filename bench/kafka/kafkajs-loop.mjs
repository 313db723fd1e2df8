// For comparison: what one writes in an afternoon. A kafkajs consumer that hands each batch to a kafkajs producer.
import kafkajs from 'kafkajs'

const { from, to, topic, sink } = JSON.parse(process.argv[2])
const { Kafka, logLevel, Partitioners } = kafkajs
const at = brokers => new Kafka({ brokers, logLevel: logLevel.ERROR })
const producer = at(to).producer({ idempotent: true, createPartitioner: Partitioners.DefaultPartitioner })
// Half of what a topic takes in one batch: kafkajs encodes what it was given, and that may be longer.
const consumer = at(from).consumer({ groupId: 'loop', maxBytesPerPartition: 1 << 19, maxBytes: 2 << 20 })
await Promise.all([producer.connect(), consumer.connect()])
await consumer.subscribe({ topic, fromBeginning: true })
await consumer.run({
  eachBatch: async ({ batch }) => {
    const messages = batch.messages.map(({ key, value, headers, timestamp }) => ({
      key,
      value,
      headers,
      timestamp,
      partition: batch.partition,
    }))
    if (messages.length > 0) await producer.send({ topic: sink, acks: -1, messages })
  },
})
