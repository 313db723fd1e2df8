import { kafka } from '/work/main/bench/kafka.mjs'
console.table(await kafka({ share: process.argv[2] ?? 0.1, rounds: 1, only: process.argv[3] }))
process.exit(0)
