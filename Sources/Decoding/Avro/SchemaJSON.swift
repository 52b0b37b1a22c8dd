// Just enough of JSON to read a schema: once at a job's start, so as a tree.

import Values

indirect enum SchemaJSON {
    case text(String)
    /// A whole number.
    case number(Int)
    case list([SchemaJSON])
    /// Of repeated names the last counts.
    case object([String: SchemaJSON])
    /// Truth values, null, other numbers.
    case other

    subscript(name: String) -> SchemaJSON? { if case .object(let members) = self { members[name] } else { nil } }
    var asText: String? { if case .text(let text) = self { text } else { nil } }

    /// nil for what is no JSON.
    init?(parsing text: String) {
        let bytes = Array(text.utf8)
        let parsed = bytes.withUnsafeBufferPointer { bytes -> SchemaJSON? in
            guard let base = bytes.baseAddress else { return nil }
            let end = base + bytes.count
            // The whole is checked first: what follows trusts it.
            let start = skipJSONSpace(base, end)
            guard let behind = skipJSONValue(start, end, depth: 0), skipJSONSpace(behind, end) == end else { return nil }
            var place = start
            return Self.value(&place, end)
        }
        guard let parsed else { return nil }
        self = parsed
    }

    private static func value(_ place: inout Place, _ end: Place) -> SchemaJSON? {
        switch place.pointee {
        case 0x22: return string(&place, end).map { .text($0) }
        case UInt8(ascii: "["):
            var items: [SchemaJSON] = []
            place = skipJSONSpace(place + 1, end)
            while place.pointee != UInt8(ascii: "]") {
                guard let item = value(&place, end) else { return nil }
                items.append(item)
                place = skipJSONSpace(place, end)
                if place.pointee == UInt8(ascii: ",") { place = skipJSONSpace(place + 1, end) }
            }
            place += 1
            return .list(items)
        case UInt8(ascii: "{"):
            var members: [String: SchemaJSON] = [:]
            place = skipJSONSpace(place + 1, end)
            while place.pointee != UInt8(ascii: "}") {
                guard let name = string(&place, end) else { return nil }
                place = skipJSONSpace(skipJSONSpace(place, end) + 1, end)
                guard let member = value(&place, end) else { return nil }
                members[name] = member
                place = skipJSONSpace(place, end)
                if place.pointee == UInt8(ascii: ",") { place = skipJSONSpace(place + 1, end) }
            }
            place += 1
            return .object(members)
        default:
            let start = place
            guard let behind = skipJSONValue(place, end, depth: 0) else { return nil }
            place = behind
            return Int(String(decoding: bytes(start, behind), as: UTF8.self)).map { .number($0) } ?? .other
        }
    }

    private static func string(_ place: inout Place, _ end: Place) -> String? {
        let from = place + 1
        let text = withUnsafeTemporaryAllocation(of: UInt8.self, capacity: end - from + 16) { copy -> (String, Place)? in
            let found = copyJSONString(from, end, to: copy.baseAddress!)
            guard let behind = found.behind, found.isText else { return nil }
            return (String(decoding: UnsafeBufferPointer(start: copy.baseAddress!, count: found.count), as: UTF8.self), behind)
        }
        guard let (string, behind) = text else { return nil }
        place = behind
        return string
    }
}
