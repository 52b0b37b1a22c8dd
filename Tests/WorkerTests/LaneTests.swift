// Who holds a lane sees that somebody else wants it.

import Foundation
import TestSupport
import Testing
import Worker

struct LaneTests {
    @Test func `who holds a lane sees that somebody waits for it, and who waited comes next`() {
        let lane = Lane()
        let came = Flag()
        lane.perform {
            #expect(!lane.isWaitedFor)
            Thread.detachNewThread { lane.perform { came.set("came") } }
            #expect(eventually { lane.isWaitedFor })
            #expect(came.value == nil)
        }
        #expect(eventually { came.value != nil })
        #expect(eventually { !lane.isWaitedFor })
    }

    @Test func `work that is put into a lane that is held is waited for, too`() {
        let lane = Lane()
        let done = Flag()
        lane.perform {
            lane.put { done.set("done") }
            #expect(lane.isWaitedFor && done.value == nil)
        }
        #expect(done.value != nil && !lane.isWaitedFor)
    }
}

struct StartPagesTests {
    @Test func `only code of files that cannot be written is given back`() {
        let maps = """
            55d0c0000000-55d0c0021000 r--p 00000000 08:01 131 /usr/bin/sluice
            55d0c0021000-55d0c0041000 r-xp 00021000 08:01 131 /usr/bin/sluice
            55d0c0041000-55d0c0042000 rw-p 00041000 08:01 131 /usr/bin/sluice
            7f0000000000-7f0000021000 rwxp 00000000 08:01 132 /usr/lib/libpatched.so
            7f1000000000-7f1000021000 r-xp 00000000 00:00 0
            7ffe00000000-7ffe00002000 r-xp 00000000 00:00 0                          [vdso]

            """
        #expect(StartPages.code(in: maps).map { [$0.address, UInt($0.bytes)] } == [[0x55d0_c002_1000, 0x20000]])
    }

    @Test func `this process runs on after its code was given back`() {
        StartPages.giveBack()
        #expect((0..<1000).map { String($0) }.joined().count == 2890)
    }
}
