// The JSON of plans, outcomes and positions as the log holds it, written by hand, and without what stands elsewhere.
//
// Every batch writes three of these, fifty times a second in a standing job at interval 0, and one object for each of
// 10,000 partitions in a large one. The general encoder takes 0.15 ms for a small outcome (a sixth of the driver's time) and
// 54 ms for those positions; this takes a tenth. And the log of a job with five batches a second would grow by 2 GB a day if
// each row repeated what the one before says. So a row leaves out what
//   - columns of the row hold: number, epoch, times, counts, digest, ranges (`LogRow` puts them back),
//   - all plans of a job have in common: `LogFrame`, a row of its own that is named by number,
//   - the batch before says: the state that it left, files of state that stay, digests of its parts (`StateText`, `LogPast`).
// What is read is a whole plan and a whole outcome again. Rows of earlier builds hold everything and are read by the same code.
//
// A field that is added to one of the types and not here would be lost: LogTextTests compares what was written with what
// is read, with every field set, and goes red.

import Engine

/// Appends JSON; the caller sees to commas between values of an array and to the order of an object's keys.
struct JSONText {
    private var bytes: [UInt8] = []

    var text: String { String(decoding: bytes, as: UTF8.self) }

    mutating func raw(_ literal: StaticString) {
        bytes.append(contentsOf: UnsafeBufferPointer(start: literal.utf8Start, count: literal.utf8CodeUnitCount))
    }

    mutating func value(_ number: some FixedWidthInteger) { bytes.append(contentsOf: number.description.utf8) }

    mutating func value(_ number: Double) {
        let text = number.description
        bytes.append(contentsOf: (text.hasSuffix(".0") ? text.dropLast(2) : text[...]).utf8)
    }

    mutating func value(_ text: String) {
        raw("\"")
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""): raw("\\\"")
            case UInt8(ascii: "\\"): raw("\\\\")
            case 0x08: raw("\\b")
            case 0x09: raw("\\t")
            case 0x0a: raw("\\n")
            case 0x0c: raw("\\f")
            case 0x0d: raw("\\r")
            case 0..<0x20:
                raw("\\u00")
                bytes.append(contentsOf: [byte >> 4, byte & 15].map { $0 + ($0 < 10 ? 48 : 87) })
            default: bytes.append(byte)
            }
        }
        raw("\"")
    }

    /// A number or text behind its key, which is written as it stands in the object: comma, quotes and colon.
    mutating func field(_ key: StaticString, _ number: some FixedWidthInteger) {
        raw(key)
        value(number)
    }

    mutating func field(_ key: StaticString, _ number: Double) {
        raw(key)
        value(number)
    }

    mutating func field(_ key: StaticString, _ text: String) {
        raw(key)
        value(text)
    }

    mutating func list<Element>(_ elements: some Sequence<Element>, _ one: (inout JSONText, Element) -> Void) {
        raw("[")
        var isFirst = true
        for element in elements {
            if !isFirst { raw(",") }
            isFirst = false
            one(&self, element)
        }
        raw("]")
    }

    mutating func object<Value>(_ entries: [String: Value], _ one: (inout JSONText, Value) -> Void) {
        raw("{")
        var isFirst = true
        for (key, entry) in entries.sorted(by: { $0.key < $1.key }) {
            if !isFirst { raw(",") }
            isFirst = false
            value(key)
            raw(":")
            one(&self, entry)
        }
        raw("}")
    }
}

/// What a plan's row holds beside its columns and its frame.
/// - Parameter past: what the log holds of the batches before; nil writes everything down.
package func planText(_ plan: BatchPlan, past: LogPast?) -> String {
    var json = JSONText()
    json.field("{\"seed\":", plan.seed)
    json.raw(",\"taskCounts\":")
    json.list(plan.taskCounts) { $0.value($1) }
    if let excluded = plan.excluded {
        json.raw(",\"excluded\":")
        json.ranges(excluded)
    }
    if let kind = plan.kind { json.field(",\"kind\":", kind.rawValue) }
    if let marks = plan.marks {
        json.raw(",\"marks\":")
        json.object(Dictionary(uniqueKeysWithValues: marks.map { (String($0.key), $0.value) })) { $0.mark($1) }
    }
    if let only = plan.only {
        json.raw(",\"only\":")
        json.ranges(only)
    }
    if let output = plan.output { json.field(",\"output\":", output.rawValue) }
    if let predecessors = plan.predecessors {
        json.raw(",\"predecessors\":")
        json.list(predecessors) { json, mark in
            json.value(past?.holds(mark) == true ? "\(mark.sink) \(mark.part) \(mark.batch)" : mark.line)
        }
    }
    if let repairs = plan.repairs {
        json.raw(",\"repairs\":")
        json.list(repairs) { $0.value($1) }
    }
    if !plan.splits.isEmpty {
        json.raw(",\"splits\":")
        json.object(Dictionary(uniqueKeysWithValues: plan.splits.map { (String($0.key), $0.value) })) { json, points in
            json.list(points) { $0.value($1) }
        }
    }
    if let state = plan.stateBefore {
        json.raw(",\"stateBefore\":")
        if state == past?.state {
            json.field("{\"version\":", state.version)
            json.raw("}")
        } else {
            json.manifest(state)
        }
    }
    if let with = plan.with {
        json.raw(",\"with\":")
        json.object(with) { $0.value($1) }
    }
    json.raw("}")
    return json.text
}

/// What came of a batch, beside the columns of its row.
package func outcomeText(_ outcome: BatchOutcome, past: LogPast?) -> String {
    var json = JSONText()
    json.raw("{\"parts\":")
    json.list(outcome.parts) { $0.part($1) }
    if let due = outcome.nextDueMillis { json.field(",\"nextDueMillis\":", due) }
    if let newest = outcome.newestEventMillis { json.field(",\"newestEventMillis\":", newest) }
    if let refused = outcome.refused { json.field(",\"refused\":", refused) }
    if let failed = outcome.failed { json.field(",\"failed\":", failed) }
    if !outcome.lateRanges.isEmpty {
        json.raw(",\"lateRanges\":")
        json.ranges(outcome.lateRanges)
    }
    if let unlisted = outcome.lateUnlisted { json.field(",\"lateUnlisted\":", unlisted) }
    if !outcome.rejectedRanges.isEmpty {
        json.raw(",\"rejectedRanges\":")
        json.ranges(outcome.rejectedRanges)
    }
    if let files = outcome.offsetFiles {
        json.raw(",\"offsetFiles\":")
        json.list(files) { $0.offsetFile($1) }
    }
    if let unlisted = outcome.rejectedUnlisted { json.field(",\"rejectedUnlisted\":", unlisted) }
    if outcome.retries != 0 { json.field(",\"retries\":", outcome.retries) }
    if let state = outcome.state {
        json.raw(",\"state\":")
        if let before = past?.stateToBuildOn { json.changes(from: before, to: state) } else { json.manifest(state) }
    }
    json.raw(",\"timings\":{")
    if let millis = outcome.timings.commitMillis {
        json.field("\"commitMillis\":", millis)
        json.raw(",")
    }
    json.field("\"planMillis\":", outcome.timings.planMillis)
    if let millis = outcome.timings.previousCommitMillis {
        json.field(",\"previousCommitMillis\":", millis)
    }
    json.field(",\"runMillis\":", outcome.timings.runMillis)
    json.field(",\"sealMillis\":", outcome.timings.sealMillis)
    json.raw("}")
    if let tombstones = outcome.tombstones { json.field(",\"tombstones\":", tombstones) }
    json.field(",\"workers\":", outcome.workers)
    json.raw("}")
    return json.text
}

/// A manifest that says everything itself, for a place that outlives the batches before.
package func manifestText(_ state: StateManifest) -> String {
    var json = JSONText()
    json.manifest(state)
    return json.text
}

/// The array that `storePositions` unpacks.
package func positionsText(_ positions: [PartitionPosition]) -> String {
    var json = JSONText()
    json.list(positions) { json, position in
        json.raw("{")
        if let found = position.foundMillis {
            json.field("\"foundMillis\":", found)
            json.raw(",")
        }
        if let epoch = position.leaderEpoch {
            json.field("\"leaderEpoch\":", epoch)
            json.raw(",")
        }
        if let time = position.maxEventTimeMillis {
            json.field("\"maxEventTimeMillis\":", time)
            json.raw(",")
        }
        json.field("\"partition\":", position.partition)
        json.field(",\"position\":", position.position)
        if let hash = position.tailHash {
            json.field(",\"tailHash\":", hash)
        }
        if let offset = position.tailOffset {
            json.field(",\"tailOffset\":", offset)
        }
        json.field(",\"topic\":", position.topic)
        json.raw("}")
    }
    return json.text
}

extension JSONText {
    fileprivate mutating func manifest(_ state: StateManifest) {
        raw("{\"entries\":")
        list(state.entries) { json, entry in
            json.raw("{\"files\":")
            json.list(entry.files) { $0.file($1) }
            json.field(",\"firstGroup\":", entry.firstGroup)
            if let operatorID = entry.operatorID { json.field(",\"operatorID\":", operatorID) }
            json.field(",\"untilGroup\":", entry.untilGroup)
            json.raw("}")
        }
        if let keyGroups = state.keyGroups { field(",\"keyGroups\":", keyGroups) }
        raw(",\"version\":")
        value(state.version)
        raw("}")
    }

    /// The entries that differ from those of `before`, each with how many of its first files stay and which follow; the
    /// whole manifest where key groups were divided anew.
    fileprivate mutating func changes(from before: StateManifest, to state: StateManifest) {
        let isSameDivision =
            before.keyGroups == state.keyGroups && before.entries.count == state.entries.count
            && zip(before.entries, state.entries).allSatisfy {
                $0.firstGroup == $1.firstGroup && $0.untilGroup == $1.untilGroup && $0.operatorID == $1.operatorID
            }
        guard isSameDivision else { return manifest(state) }
        let changed = state.entries.indices.filter { before.entries[$0].files != state.entries[$0].files }
        raw("{\"changed\":")
        list(changed) { json, index in
            let (old, new) = (before.entries[index].files, state.entries[index].files)
            let kept = zip(old, new).prefix { $0 == $1 }.count
            json.field("{\"at\":", index)
            json.raw(",\"files\":")
            json.list(new[kept...]) { $0.file($1) }
            if kept > 0 { json.field(",\"kept\":", kept) }
            json.raw("}")
        }
        field(",\"since\":", before.version)
        field(",\"version\":", state.version)
        raw("}")
    }

    /// A file's line; its digest as `=` where the name ends with it.
    fileprivate mutating func file(_ file: StateFile) {
        guard file.name.hasSuffix("-" + file.digest), !file.digest.isEmpty, !file.digest.contains("-") else {
            return value(file.line)
        }
        var short = file
        short.digest = "="
        value(short.line)
    }

    fileprivate mutating func offsetFile(_ file: OffsetFile) {
        field("{\"content\":", file.content.rawValue)
        field(",\"digest\":", file.digest)
        field(",\"name\":", file.name)
        field(",\"offsets\":", file.offsets)
        field(",\"partition\":", Int(file.partition))
        field(",\"ranges\":", file.ranges)
        field(",\"topic\":", file.topic)
        raw("}")
    }

    /// `PART ROWS DIGEST`, then the sink and the refused rows where there are such.
    fileprivate mutating func part(_ part: SealedPart) {
        guard !part.digest.contains(" ") else {
            field("{\"digest\":", part.digest)
            field(",\"part\":", part.part)
            if let refused = part.refused { field(",\"refused\":", refused) }
            field(",\"rows\":", part.rows)
            if let sink = part.sink { field(",\"sink\":", sink) }
            return raw("}")
        }
        var line = "\(part.part) \(part.rows) \(part.digest)"
        if part.sink != nil || part.refused != nil { line += " \(part.sink.map { "\($0)" } ?? "-")" }
        if let refused = part.refused { line += " \(refused)" }
        value(line)
    }

    /// `["topic",partition,from,until]`, without the topic where it is the one before.
    fileprivate mutating func ranges(_ ranges: [OffsetRange]) {
        var topic: String?
        list(ranges) { json, range in
            json.raw("[")
            if range.topic != topic {
                json.value(range.topic)
                json.raw(",")
                topic = range.topic
            }
            json.value(range.partition)
            json.field(",", range.from)
            json.field(",", range.until)
            json.raw("]")
        }
    }

    fileprivate mutating func mark(_ mark: RangeMark) {
        var isFirst = true
        func next(_ json: inout JSONText) {
            json.raw(isFirst ? "{" : ",")
            isFirst = false
        }
        func text(_ json: inout JSONText, _ key: StaticString, _ value: String?) {
            guard let value else { return }
            next(&json)
            json.field(key, value)
        }
        func number(_ json: inout JSONText, _ key: StaticString, _ value: (some FixedWidthInteger)?) {
            guard let value else { return }
            next(&json)
            json.field(key, value)
        }
        text(&self, "\"from\":", mark.from)
        number(&self, "\"leaderEpoch\":", mark.leaderEpoch)
        number(&self, "\"source\":", mark.source)
        text(&self, "\"split\":", mark.split)
        text(&self, "\"until\":", mark.until)
        if isFirst { raw("{") }
        raw("}")
    }
}
