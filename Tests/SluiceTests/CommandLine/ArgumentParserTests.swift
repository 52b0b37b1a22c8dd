// What each word of a command line is taken for, and what is said about one that fits nowhere.

import Engine
import Sluice
import Testing

@Suite struct `Arguments` {
    struct Accepted: Sendable, CustomTestStringConvertible {
        var words: [String]
        var seen: String
        var testDescription: String { words.joined(separator: " ") }
    }

    /// Everything that was understood, in one text.
    private func seen(_ parsed: ParsedArguments) -> String {
        let settings = parsed.settingFlags.map { "\($0.name)=\($0.text)" }.joined(separator: ",")
        return
            "\(parsed.positional("JOB") ?? "-") caught=\(parsed.flag("until-caught-up")) last=\(parsed.integer("last") ?? -1)"
            + " expect=\(parsed.all("expect").joined(separator: ",")) json=\(parsed.flag("json")) set:\(settings)"
    }

    @Test(arguments: [
        Accepted(words: ["views"], seen: "views caught=false last=10 expect= json=false set:"),
        Accepted(words: ["views", "--last", "3"], seen: "views caught=false last=3 expect= json=false set:"),
        Accepted(words: ["--last=3", "views"], seen: "views caught=false last=3 expect= json=false set:"),
        Accepted(
            words: ["views", "--last", "3", "--last", "4"], seen: "views caught=false last=4 expect= json=false set:"),
        Accepted(words: ["--until-caught-up", "views"], seen: "views caught=true last=10 expect= json=false set:"),
        Accepted(
            words: ["--until-caught-up", "--no-until-caught-up", "views", "--json"],
            seen: "views caught=false last=10 expect= json=true set:"),
        Accepted(
            words: ["views", "--expect", "a", "--expect=b=c"],
            seen: "views caught=false last=10 expect=a,b=c json=false set:"),
        Accepted(words: ["--", "--last"], seen: "--last caught=false last=10 expect= json=false set:"),
        Accepted(words: ["views", "--expect", "-10m"], seen: "views caught=false last=10 expect=-10m json=false set:"),
        Accepted(words: ["-", "--expect=--x"], seen: "- caught=false last=10 expect=--x json=false set:"),
        Accepted(
            words: ["views", "--sink", "console:", "--max-batch-records=5", "--set", "lateness=2s", "--set=own=a=b"],
            seen:
                "views caught=false last=10 expect= json=false set:sink=console:,max_batch_records=5,lateness=2s,own=a=b"
        ),
        Accepted(
            words: ["views", "--kafka.fetch.min.bytes", "7"],
            seen: "views caught=false last=10 expect= json=false set:kafka.fetch.min.bytes=7"),
    ])
    func `are understood in every form that GNU's long options have`(_ given: Accepted) throws {
        #expect(seen(try ArgumentParser.parse(given.words, for: sample)) == given.seen)
    }

    struct Refused: Sendable, CustomTestStringConvertible {
        var words: [String]
        var what: String
        var now: String
        var testDescription: String { words.joined(separator: " ") }
    }

    @Test(arguments: [
        Refused(words: ["views", "--sinck", "x"], what: "unknown option --sinck", now: "did you mean --sink?"),
        Refused(
            words: ["views", "--until-cought-up"], what: "unknown option --until-cought-up",
            now: "did you mean --until-caught-up?"),
        Refused(words: ["views", "--frobnicate"], what: "unknown option --frobnicate", now: "`sluice run --help`"),
        Refused(
            words: ["views", "--max_batch_records", "1"], what: "unknown option --max_batch_records",
            now: "--max-batch-records?"),
        Refused(words: ["views", "--interval", "1"], what: "unknown option --interval", now: "`sluice run --help`"),
        Refused(words: ["views", "-x"], what: "unknown option -x", now: "put -- before"),
        Refused(words: ["views", "--last"], what: "--last needs a value", now: "--last N"),
        Refused(words: ["views", "--last", "--json"], what: "--last needs a value", now: "--last=VALUE"),
        Refused(words: ["views", "--last", "many"], what: "--last cannot be 'many'", now: "--help"),
        Refused(words: ["views", "--last", "1001"], what: "--last cannot be '1001'", now: "--help"),
        Refused(words: ["views", "--json=yes"], what: "--json takes no value", now: "--no-json"),
        Refused(words: ["views", "--set", "lateness"], what: "--set needs NAME=VALUE", now: "--set lateness=10s"),
        Refused(words: ["views", "--set", "=5"], what: "--set needs NAME=VALUE", now: "--set lateness=10s"),
        Refused(words: [], what: "JOB is missing", now: "usage: sluice run JOB"),
        Refused(words: ["views", "clicks"], what: "'clicks' is one argument too many", now: "usage: sluice run JOB"),
    ])
    func `that fit nowhere are refused with the nearest that would`(_ given: Refused) throws {
        let refusal = try failure { _ = try ArgumentParser.parse(given.words, for: sample) }
        #expect(refusal.code == .wrongUsage)
        #expect(refusal.what == given.what)
        #expect(refusal.now.contains(given.now))
    }

    @Test(arguments: [
        (["run", "x"], "run"), (["jobs"], "jobs"), (["jobs", "--json"], "jobs"), (["jobs", "show", "x"], "jobs show"),
        (["settings"], "settings"), (["completion", "bash"], "completion"),
    ])
    func `name a command by one word or two`(_ words: [String], _ name: String) throws {
        #expect(try ArgumentParser(commands: program.commands).selectCommand(words).command.name == name)
    }

    @Test(arguments: [
        (["rn", "x"], "unknown command rn", "did you mean run?"),
        (["jobs", "shwo", "x"], "unknown command jobs shwo", "did you mean jobs show?"),
        (["explode"], "unknown command explode", "`sluice --help` lists all commands"),
    ])
    func `that name no command are told the nearest one`(_ words: [String], _ what: String, _ now: String) throws {
        let refusal = try failure { _ = try ArgumentParser(commands: program.commands).selectCommand(words) }
        #expect(refusal.what == what)
        #expect(refusal.now.hasPrefix(now))
    }

    @Test func `with choices take only these`() throws {
        let completion = try #require(program.commands.first { $0.name == "completion" })
        #expect(try ArgumentParser.parse(["zsh"], for: completion).required("SHELL") == "zsh")
        let refusal = try failure { _ = try ArgumentParser.parse(["fisch"], for: completion) }
        #expect(refusal.now == "did you mean fish?")
    }

    @Test func `never repeat a password that stands in a wrong value`() throws {
        let talkative = Command(
            "talk", .tools, summary: "s", about: "a", options: [Option("to", .address(["http"]), help: "h")],
            examples: [],
            run: { _, _ in 0 })
        let refusal = try failure { _ = try ArgumentParser.parse(["--to", "ftp://me:hush@host"], for: talkative) }
        #expect(!refusal.description.contains("hush"))
    }
}
