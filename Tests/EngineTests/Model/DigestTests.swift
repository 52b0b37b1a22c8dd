import Engine
import Testing

struct DigestTests {
    @Test(arguments: [0, 1, 999, 1000, 1001, 5000]) func `a digest by pieces is that of the whole`(count: Int) {
        let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        var place = 0
        let found = digest(pieceBytes: 1000) { room in
            let step = min(room.count, count - place)
            bytes.withUnsafeBytes { room.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[place..<place + step])) }
            place += step
            return step
        }
        #expect(found == digest(of: bytes))
    }
}
