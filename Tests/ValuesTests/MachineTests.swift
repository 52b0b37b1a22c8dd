import Foundation
import TestSupport
import Testing
import Values

/// What tells machines apart whose answers may differ.
@Suite struct MachineTests {
    @Test func `zone data that differ in one file, or in a name, have another digest`() throws {
        let directory = try TemporaryDirectory("zones")
        let folder = directory.path + "/"
        func copy(_ zone: String, to name: String) throws {
            let data = try Data(contentsOf: URL(filePath: "/usr/share/zoneinfo/\(zone)"))
            try data.write(to: URL(filePath: folder + name))
        }
        try copy("Europe/Berlin", to: "A")
        try copy("Asia/Tokyo", to: "B")
        let first = Zone.dataDigest(under: folder)
        #expect(Zone.dataDigest(under: folder) == first)
        try copy("Asia/Seoul", to: "B")
        let second = Zone.dataDigest(under: folder)
        try copy("Asia/Tokyo", to: "B")
        #expect(Zone.dataDigest(under: folder) == first && second != first)
        try copy("Asia/Tokyo", to: "C")
        #expect(Zone.dataDigest(under: folder) != first)
        #expect(Zone.dataDigest == Zone.dataDigest(under: "/usr/share/zoneinfo/"))
    }

    @Test func `math functions that differ in last bits have another digest`() {
        #expect(MathProbe.digest == MathProbe.digest(of: MathProbe.functions))
        for place in MathProbe.functions.indices {
            var functions = MathProbe.functions
            let own = functions[place]
            functions[place] = { own($0).isFinite ? own($0).nextUp : own($0) }
            #expect(MathProbe.digest(of: functions) != MathProbe.digest)
        }
    }
}
