// Help as it is read: one whole text each, so that a change is seen as a reader would see it.

import Sluice
import Testing

@Suite struct `Help` {
    @Test func `of a command shows its use, words, options, settings and an example`() {
        #expect(
            HelpText.of(sample, width: 100) == """
                Usage: sluice run JOB [options]

                Runs a job in this process and in the workers that it starts. It stands until it is told to stop.

                Arguments:
                  JOB                         the job's name

                Options:
                  --until-caught-up           end when everything that was there is done
                  --last N                    how many batches to show (default 10)
                  --expect WORD               a word to look for (can be repeated)
                  --json                      one JSON object a line, for programs
                  --set NAME=VALUE            any setting, also one that has no flag here (can be repeated)
                  --conf FILE                 read settings from this file instead of conf/sluice.yaml
                  --print-settings            show every setting and where its value came from, and do nothing else
                  -h, --help                  show this text

                Settings (each also as SLUICE_NAME, in conf/sluice.yaml, and with --set):
                  --sink ADDRESS              where results go: sqlite:FILE, postgres://HOST/DATABASE, kafka:TOPIC,
                                              console: or discard: (default sqlite:.sluice/sink.db)
                  --workers N                 worker processes that `sluice run` starts (default 0)
                  --max-batch-records N       most offsets in one batch, over all partitions (default 4000000)
                  --kafka.* TEXT              any property of librdkafka, handed to it as it is (default: what
                                              librdkafka has)

                Example:
                  sluice run campaign-views --workers 2
                      two worker processes

                """)
    }

    @Test func `of all lists commands by group`() {
        #expect(
            HelpText.ofAll(program.commands, width: 100) == """
                Usage: sluice COMMAND [options]

                Micro-batch analytics over Kafka: exact batches, run by worker processes, into idempotent sinks.

                Run jobs:
                  run         run a job here and now
                  jobs        does jobs
                  jobs show   does jobs show
                  jobs stop   does jobs stop

                About sluice:
                  settings    list all settings
                  completion  print a completion script for a shell

                `sluice COMMAND --help` explains one command; `sluice --version` names the version.

                """)
    }

    @Test(arguments: [40, 60, 80, 100])
    func `stays within the width but for words that cannot be broken`(_ width: Int) {
        let prose = HelpText.of(sample, width: width).split(separator: "\n").filter {
            $0.contains("stands until") || $0.contains("show every")
        }
        #expect(!prose.isEmpty)
        for line in prose { #expect(line.count <= max(width, 50)) }
    }

    @Test func `of every command has an example and no option twice`() {
        for command in program.commands {
            #expect(!command.examples.isEmpty)
            let names = command.allOptions.map(\.name) + command.settingKeys.map { String($0.flag.dropFirst(2)) }
            #expect(Set(names).count == names.count)
        }
    }
}
