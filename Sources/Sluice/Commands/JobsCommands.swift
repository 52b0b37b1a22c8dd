// `sluice jobs` and `sluice jobs show|pause|resume|stop|kill NAME`.
//
// By default they read and write the catalog: what a person wants of a job is a row, and the driver that holds the job's
// lease reads it each second, wherever it runs; what only that driver knows, it is asked (`JobLook.swift`). With --driver they go through that driver's API instead, and need its
// secret. A job that nobody runs has no driver to follow a wish, so its state is set here (`JobWishes.swift`).

import Driver
import Engine

enum JobsCommands {
    private static let settingKeys: [SettingKey] = [.catalog, .driver, .secretFile, .tlsCert, .tlsKey, .tlsCA]

    static let all: [Command] = [
        list, show,
        action(
            .pause, summary: "let a job rest after the batch in flight",
            about: "Finishes the batch in flight and then plans no other. The job keeps log, state and sink."),
        action(
            .resume, summary: "let a paused or stopped job go on",
            about: """
                Says that a job is meant to run again. A driver that stands on this catalog takes it up within a second, \
                one named with --driver at once; otherwise the next driver that starts does, or `sluice run`.
                """),
        action(
            .stop, summary: "end a job after the batch in flight",
            about: "Finishes the batch in flight and ends the job's loop. The same job can be run or resumed later."),
        action(
            .kill, summary: "end a job at once",
            about: """
                Gives the batch in flight up where it is. Nothing is lost or counted twice: the batch stays in the log and the \
                next start finishes it first.
                """),
    ]

    private static let list = Command(
        "jobs", .jobs, summary: "list all jobs",
        about: """
            Lists the jobs of the catalog (or, with --driver, of that driver): their state, how far they are, what they wait for, what \
            their topics hide behind open transactions, and what Kafka is about to delete unread. The drivers that run them are asked; \
            of a job that nobody runs, its topic is.
            """,
        options: [.json], settingFlags: .some(settingKeys),
        examples: [
            Command.Example("sluice jobs", "the jobs of .sluice/catalog.db"),
            Command.Example("sluice jobs --driver http://127.0.0.1:7070 --json", "as a driver sees them, with their lag"),
        ],
        run: { parsed, terminal in
            let settings = try parsed.settings()
            let (views, notes) = try JobSource(settings).all()
            if parsed.flag("json") {
                for view in views { try terminal.json(view) }
                return 0
            }
            if views.isEmpty {
                try terminal.line("there is no job yet: `sluice run` and `sluice submit` make one")
                return 0
            }
            var table = Table([
                .text("job"), .text("definition"), .text("kind"), .text("state"), .text("meant to"), .number("batch"),
                .text("done at"), .number("lag"),
            ])
            for view in views {
                table.add([
                    view.job, view.definition, view.kind, view.state, view.desired, view.lastBatch.map { "\($0)" } ?? "-",
                    view.lastDoneAt ?? "-", view.lagOffsets.map { grouped($0) } ?? "-",
                ])
            }
            try terminal.table(table)
            for view in views {
                if let what = view.what { try terminal.line("\(view.job): \(what)") }
                if let waits = view.waitsFor { try terminal.line("\(view.job) waits: \(waits)") }
                for warning in view.warnings ?? [] { try terminal.line("\(view.job): \(warning)") }
            }
            for note in notes { try terminal.line(note) }
            return 0
        })

    private static let show = Command(
        "jobs show", .jobs, summary: "show one job with its settings",
        about: "Shows a job: its state and why it is in it, who runs it, how far it is, and its settings.",
        positionals: [OneJob.positional], options: [.json], settingFlags: .some(settingKeys),
        examples: [Command.Example("sluice jobs show campaign-views", "all about one job")],
        run: { parsed, terminal in
            let settings = try parsed.settings()
            let source = try JobSource(settings)
            let (view, notes) = try source.one(parsed.required("NAME"))
            if parsed.flag("json") {
                try terminal.json(view)
                return 0
            }
            var rows = [
                ("job", view.job), ("id", view.jobId), ("definition", view.definition), ("kind", view.kind),
                ("state", view.state), ("meant to", view.desired), ("made at", view.createdAt),
            ]
            if let holder = try source.holder(of: view.job) { rows.append(("run by", holder)) }
            if let batch = view.lastBatch { rows.append(("last batch", "\(batch), done at \(view.lastDoneAt ?? "-")")) }
            if let waits = view.waitsFor { rows.append(("waits for", waits)) }
            if let lag = view.lagOffsets { rows.append(("lag", grouped(lag))) }
            if let from = view.unreadDeletedFrom { rows.append(("unread deleted from", from)) }
            for warning in view.warnings ?? [] { rows.append(("topic", warning)) }
            if let what = view.what { rows.append(("what", what)) }
            if let why = view.why { rows.append(("why", why)) }
            if let now = view.now { rows.append(("now", now)) }
            var table = Table([.text("job"), .text(view.job)])
            for (title, text) in rows.dropFirst() { table.add([title, text]) }
            try terminal.table(table)
            for note in notes { try terminal.line(note) }
            guard let values = view.settings, !values.isEmpty else { return 0 }
            try terminal.line()
            var list = Table([.text("setting"), .text("value")])
            for (name, value) in values.sorted(by: { $0.key < $1.key }) {
                list.add([name, settings.table[name]?.type.shown(canonical: value) ?? value])
            }
            try terminal.table(list)
            return 0
        })

    private static func action(_ action: JobAction, summary: String, about: String) -> Command {
        let word = action.rawValue
        return Command(
            "jobs \(word)", .jobs, summary: summary, about: about, positionals: [OneJob.positional],
            options: [
                Option("wait", .duration(0...3_600_000), fallback: "10s", help: "how long to wait for the job to follow"),
                .json,
            ],
            settingFlags: .some(settingKeys),
            examples: [Command.Example("sluice jobs \(word) campaign-views", summary)],
            run: { parsed, terminal in
                let settings = try parsed.settings()
                let answer = try JobWishes.ask(
                    action, of: parsed.required("NAME"), settings, waitMillis: parsed.millis("wait") ?? 10_000)
                if parsed.flag("json") {
                    try terminal.json(answer.view)
                } else {
                    try terminal.line(answer.text)
                }
                return answer.followed ? 0 : 1
            })
    }
}

/// Where jobs are looked at: a driver's API when one is named, otherwise the catalog.
struct JobSource {
    private let client: DriverClient?
    private let settings: Settings

    init(_ settings: Settings) throws {
        self.settings = settings
        client = Self.isDriverNamed(settings) ? try DriverClient(settings) : nil
    }

    static func isDriverNamed(_ settings: Settings) -> Bool { settings.origin(of: .driver) != .engine }

    /// - Returns: the jobs, and what could not be learned of them, a line each.
    func all() throws -> (views: [JobView], notes: [String]) {
        if let client { return (try client.get("/v1/jobs"), []) }
        return try inCatalog { catalog in
            var look = JobLook(catalog, settings)
            let views = try catalog.jobs().map { try look.view($0) }
            return (views, look.notes)
        }
    }

    func one(_ name: String) throws -> (view: JobView, notes: [String]) {
        if let client { return (try client.get("/v1/jobs/\(name)"), []) }
        return try inCatalog { catalog in
            var look = JobLook(catalog, settings)
            let record = try JobView.record(name, catalog)
            var view = try look.view(record)
            view.settings = Self.shown(record)
            return (view, look.notes)
        }
    }

    /// Who runs the job, as the catalog's lease says it; nil through the API, which is that driver.
    func holder(of name: String) throws -> String? {
        if client != nil { return nil }
        return try inCatalog { catalog in
            guard let holder = try catalog.liveHolder(of: name) else { return "nobody" }
            return "process \(holder.pid) on \(holder.host), \(holder.address)"
        }
    }

    static func view(_ name: String, _ catalog: Catalog) throws -> JobView {
        let record = try JobView.record(name, catalog)
        var view = JobView(record, status: nil, last: try catalog.lastDone(record.jobID))
        view.settings = shown(record)
        return view
    }

    private static func shown(_ record: JobRecord) -> [String: String] { record.settings.mapValues { AddressPassword.masked($0) } }

    private func inCatalog<Result>(_ body: (Catalog) throws -> Result) throws -> Result {
        let catalog = try ExistingCatalog.open(settings)
        defer { catalog.close() }
        return try body(catalog)
    }
}
