// Randomness that a failing test can repeat.

struct TestRandom: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    mutating func below(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &self) }
    mutating func pick<Element>(_ elements: [Element]) -> Element { elements[below(elements.count)] }

    /// Some JSON, with spaces in it.
    mutating func json(depth: Int) -> String {
        let space = pick(["", "", " ", "\n\t"])
        switch below(depth > 0 ? 9 : 7) {
        case 0: return space + "null" + space
        case 1: return pick(["true", "false"]) + space
        case 2: return String(Int64.random(in: .min ... .max, using: &self) >> Int64(below(63)))
        case 3: return pick(["1.50", "-0.0", "1e3", "1E-7", "-12.5e+2", "0.1", "1e400", "123456789012345678901234567890.5"])
        case 4: return "\"" + pick(["", "a", "ä😀", "\\u00e4", "\\ud83d\\ude00", "\\n\\t\\\\\\\"\\/", "0123456789abcdef0123456789", "\\u0001\u{7f}"]) + "\""
        case 5: return "\"\(below(1000))\""
        case 6: return "[]"
        case 7: return "[" + (0..<below(4)).map { _ in space + json(depth: depth - 1) }.joined(separator: ",") + space + "]"
        default:
            return "{" + space + (0..<below(4)).map { _ in "\"\(pick(["a", "b", "bb", "ä", "\\u0061"]))\"" + space + ":" + json(depth: depth - 1) }.joined(separator: "," + space)
                + "}"
        }
    }
}
