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
    json.raw("{\"batch\":")
    json.value(plan.batch)
    json.raw(",\"batchTimeMillis\":")
    json.value(plan.batchTimeMillis)
    json.raw(",\"buildDigest\":")
    json.value(plan.buildDigest)
    json.raw(",\"epoch\":")
    json.value(plan.epoch)
    json.raw(",\"job\":")
    json.value(plan.job)
    json.raw(",\"jobID\":")
    json.value(plan.jobID.text)
    json.raw(",\"keyGroups\":")
    json.value(plan.keyGroups)
    json.raw(",\"lookups\":")
    json.object(plan.lookups) { $0.value($1) }
    if let output = plan.output {
        json.raw(",\"output\":")
        json.value(output.rawValue)
    }
    json.raw(",\"planDigest\":")
    json.value(plan.planDigest)
    json.raw(",\"ranges\":[],\"schemaDigest\":")
    json.value(plan.schemaDigest)
    json.raw(",\"seed\":")
    json.value(plan.seed)
    json.raw(",\"settingsDigest\":")
    json.value(plan.settingsDigest)
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
        json.raw(",\"watermarkBeforeMillis\":")
        json.value(watermark)
    }
    json.raw("}")
    return json.text
}

/// What came of a batch.
package func outcomeText(_ outcome: BatchOutcome) -> String {
    var json = JSONText()
    json.raw("{\"bytesIn\":")
    json.value(outcome.bytesIn)
    json.raw(",\"digest\":")
    json.value(outcome.digest)
    json.raw(",\"late\":")
    json.value(outcome.late)
    json.raw(",\"lateRanges\":")
    json.ranges(outcome.lateRanges)
    json.raw(",\"parts\":")
    json.list(outcome.parts) { json, part in
        json.raw("{\"digest\":")
        json.value(part.digest)
        json.raw(",\"part\":")
        json.value(part.part)
        json.raw(",\"rows\":")
        json.value(part.rows)
        json.raw("}")
    }
    json.raw(",\"rejected\":")
    json.value(outcome.rejected)
    json.raw(",\"rejectedRanges\":")
    json.ranges(outcome.rejectedRanges)
    json.raw(",\"retries\":")
    json.value(outcome.retries)
    json.raw(",\"rowsIn\":")
    json.value(outcome.rowsIn)
    json.raw(",\"rowsOut\":")
    json.value(outcome.rowsOut)
    if let state = outcome.state {
        json.raw(",\"state\":")
        json.manifest(state)
    }
    json.raw(",\"timings\":{")
    if let millis = outcome.timings.commitMillis {
        json.raw("\"commitMillis\":")
        json.value(millis)
        json.raw(",")
    }
    json.raw("\"planMillis\":")
    json.value(outcome.timings.planMillis)
    if let millis = outcome.timings.previousCommitMillis {
        json.raw(",\"previousCommitMillis\":")
        json.value(millis)
    }
    json.raw(",\"runMillis\":")
    json.value(outcome.timings.runMillis)
    json.raw(",\"sealMillis\":")
    json.value(outcome.timings.sealMillis)
    json.raw("},\"unmatched\":")
    json.value(outcome.unmatched)
    if let watermark = outcome.watermarkAfterMillis {
        json.raw(",\"watermarkAfterMillis\":")
        json.value(watermark)
    }
    json.raw(",\"workers\":")
    json.value(outcome.workers)
    json.raw("}")
    return json.text
}

/// The array that `storePositions` unpacks.
package func positionsText(_ positions: [PartitionPosition]) -> String {
    var json = JSONText()
    json.list(positions) { json, position in
        json.raw("{")
        if let time = position.maxEventTimeMillis {
            json.raw("\"maxEventTimeMillis\":")
            json.value(time)
            json.raw(",")
        }
        json.raw("\"partition\":")
        json.value(position.partition)
        json.raw(",\"position\":")
        json.value(position.position)
        if let hash = position.tailHash {
            json.raw(",\"tailHash\":")
            json.value(hash)
        }
        if let offset = position.tailOffset {
            json.raw(",\"tailOffset\":")
            json.value(offset)
        }
        json.raw(",\"topic\":")
        json.value(position.topic)
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
            json.raw(",\"firstGroup\":")
            json.value(entry.firstGroup)
            json.raw(",\"untilGroup\":")
            json.value(entry.untilGroup)
            json.raw("}")
        }
        raw(",\"version\":")
        value(state.version)
        raw("}")
    }

    fileprivate mutating func ranges(_ ranges: [OffsetRange]) {
        list(ranges) { json, range in
            json.raw("{\"from\":")
            json.value(range.from)
            json.raw(",\"partition\":")
            json.value(range.partition)
            json.raw(",\"topic\":")
            json.value(range.topic)
            json.raw(",\"until\":")
            json.value(range.until)
            json.raw("}")
        }
    }
}
