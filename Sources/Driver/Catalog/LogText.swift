// The JSON of plans, outcomes and positions as the log holds it, written by hand.
//
// Every batch writes three of these, fifty times a second in a standing job at interval 0, and one object for each of
// 10,000 partitions in a large one. The general encoder takes 0.15 ms for a small outcome (a sixth of the driver's time) and
// 54 ms for those positions; this takes a tenth. The text is byte for byte what that encoder writes with sorted keys, so
// equal values have equal text whatever wrote them; reading stays with the general decoder. A field that is added to one
// of the types and not here would be lost: LogTextTests compares both with every field set, and goes red.

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

/// A plan without its ranges, which have a column of their own.
package func planText(_ plan: BatchPlan) -> String {
    var json = JSONText()
    json.field("{\"batch\":", plan.batch)
    json.field(",\"batchTimeMillis\":", plan.batchTimeMillis)
    json.field(",\"buildDigest\":", plan.buildDigest)
    json.field(",\"epoch\":", plan.epoch)
    if let excluded = plan.excluded {
        json.raw(",\"excluded\":")
        json.ranges(excluded)
    }
    json.field(",\"job\":", plan.job)
    json.field(",\"jobID\":", plan.jobID.text)
    json.field(",\"keyGroups\":", plan.keyGroups)
    if let kind = plan.kind { json.field(",\"kind\":", kind.rawValue) }
    json.raw(",\"lookups\":")
    json.object(plan.lookups) { $0.value($1) }
    if let marks = plan.marks {
        json.raw(",\"marks\":")
        json.object(Dictionary(uniqueKeysWithValues: marks.map { (String($0.key), $0.value) })) { $0.mark($1) }
    }
    if let output = plan.output {
        json.field(",\"output\":", output.rawValue)
    }
    json.field(",\"planDigest\":", plan.planDigest)
    if let predecessors = plan.predecessors {
        json.raw(",\"predecessors\":")
        json.list(predecessors) { $0.value($1.line) }
    }
    json.field(",\"ranges\":[],\"schemaDigest\":", plan.schemaDigest)
    json.field(",\"seed\":", plan.seed)
    json.field(",\"settingsDigest\":", plan.settingsDigest)
    json.raw(",\"splits\":")
    json.object(Dictionary(uniqueKeysWithValues: plan.splits.map { (String($0.key), $0.value) })) { json, points in
        json.list(points) { $0.value($1) }
    }
    if let state = plan.stateBefore {
        json.raw(",\"stateBefore\":")
        json.manifest(state)
    }
    json.raw(",\"taskCounts\":")
    json.list(plan.taskCounts) { $0.value($1) }
    json.raw(",\"topicIDs\":")
    json.object(plan.topicIDs) { $0.value($1) }
    if let watermark = plan.watermarkBeforeMillis {
        json.field(",\"watermarkBeforeMillis\":", watermark)
    }
    json.raw("}")
    return json.text
}

/// What came of a batch.
package func outcomeText(_ outcome: BatchOutcome) -> String {
    var json = JSONText()
    json.field("{\"bytesIn\":", outcome.bytesIn)
    json.field(",\"digest\":", outcome.digest)
    json.field(",\"late\":", outcome.late)
    json.raw(",\"lateRanges\":")
    json.ranges(outcome.lateRanges)
    if let due = outcome.nextDueMillis { json.field(",\"nextDueMillis\":", due) }
    json.raw(",\"parts\":")
    json.list(outcome.parts) { json, part in
        json.field("{\"digest\":", part.digest)
        json.field(",\"part\":", part.part)
        if let refused = part.refused { json.field(",\"refused\":", refused) }
        json.field(",\"rows\":", part.rows)
        if let sink = part.sink { json.field(",\"sink\":", sink) }
        json.raw("}")
    }
    if let refused = outcome.refused { json.field(",\"refused\":", refused) }
    json.field(",\"rejected\":", outcome.rejected)
    json.raw(",\"rejectedRanges\":")
    json.ranges(outcome.rejectedRanges)
    json.field(",\"retries\":", outcome.retries)
    json.field(",\"rowsIn\":", outcome.rowsIn)
    json.field(",\"rowsOut\":", outcome.rowsOut)
    if let state = outcome.state {
        json.raw(",\"state\":")
        json.manifest(state)
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
    json.field(",\"unmatched\":", outcome.unmatched)
    if let watermark = outcome.watermarkAfterMillis {
        json.field(",\"watermarkAfterMillis\":", watermark)
    }
    json.field(",\"workers\":", outcome.workers)
    json.raw("}")
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
            json.list(entry.files) { $0.value($1.line) }
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

    fileprivate mutating func ranges(_ ranges: [OffsetRange]) {
        list(ranges) { json, range in
            json.field("{\"from\":", range.from)
            json.field(",\"partition\":", range.partition)
            json.field(",\"topic\":", range.topic)
            json.field(",\"until\":", range.until)
            json.raw("}")
        }
    }
}
