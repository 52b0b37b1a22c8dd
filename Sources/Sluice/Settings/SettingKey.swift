// One setting: its name, what it may say, what it is without anyone saying it, and why.
//
// The keys are declared once, in `SettingTable+Keys.swift`. Flags, variables, the configuration file, help, completion
// and `conf/sluice.yaml` are all made from that declaration, so nothing about a key is written down twice.

package struct SettingKey: Hashable, Sendable {
    /// Which digest a key belongs to: keys of `result` change the rows that a planned batch gives, so a batch that was
    /// planned with others is not simply finished (protocol 2). Keys of `operation` change only when and where it runs.
    package enum Kind: String, Sendable { case result, operation }
    package enum Section: String, CaseIterable, Sendable {
        case job = "The job and its input"
        case batches = "Batches"
        case badRecords = "Records that cannot be read"
        case places = "Where things are kept"
        case kafka = "Kafka"
        case workers = "Driver and workers"
        case access = "Access"
        case logs = "Logs"
    }

    package var name: String
    package var section: Section
    package var type: SettingType
    /// The engine's default; nil where there is none or where it follows from something else.
    package var fallback: String?
    /// What holds without a default, in words.
    package var fallbackNote: String?
    package var kind: Kind
    package var isSecret: Bool
    /// What it is, in one line.
    package var what: String
    /// Why the default is what it is, and what happens at the bound.
    package var why: String

    package init(
        _ name: String, _ section: Section, _ type: SettingType, fallback: String? = nil, note: String? = nil,
        kind: Kind = .operation, isSecret: Bool = false, what: String, why: String
    ) {
        self.name = name
        self.section = section
        self.type = type
        self.fallback = fallback
        self.fallbackNote = note
        self.kind = kind
        self.isSecret = isSecret
        self.what = what
        self.why = why
    }

    /// `--max-batch-records`
    package var flag: String { "--" + name.replacing("_", with: "-") }

    /// `SLUICE_MAX_BATCH_RECORDS`; for what is handed to librdkafka, `SLUICE_KAFKA__FETCH_MIN_BYTES`: after the double
    /// underscore each single one stands for a dot, as no property of librdkafka has an underscore in it.
    package var variable: String {
        if name.hasPrefix("kafka.") {
            return "SLUICE_KAFKA__" + name.dropFirst("kafka.".count).uppercased().replacing(".", with: "_")
        }
        return "SLUICE_" + name.uppercased()
    }

    /// The default as lists show it.
    package var fallbackText: String { fallback ?? fallbackNote ?? "none" }

    /// A text of this key as it may be printed.
    package func shown(_ text: String) -> String {
        // A secret that is a file's path is no secret.
        if isSecret { return text.hasPrefix("file:") ? text : "***" }
        return AddressPassword.masked(text)
    }
}
