// What a standing process asks of its catalog before it has one: the place may be away, and comes back (protocol 14).
//
// Only trouble from outside is waited for; a place that cannot be a catalog is a mistake of the one who named it.

import Driver
import Engine
import Foundation

enum StandingCatalog {
    static func open(_ address: String) throws -> Catalog {
        try patiently(address) { try Catalog.open(address: address) }
    }

    /// Does `body` when the catalog answers.
    static func patiently<Answer>(_ address: String, _ body: () throws -> Answer) throws -> Answer {
        var patience = Patience(.standing)
        while true {
            do {
                let answer = try body()
                if let millis = patience.answered(nowMillis: steadyMillis()) {
                    Log.notice("the catalog is back", [("after_ms", "\(millis)")])
                }
                return answer
            } catch let reason as Failure where reason.isWeather {
                guard case .tryAgain(let pause, let says) = patience.failed(reason, nowMillis: steadyMillis(), spread: .random(in: 0...1))
                else { throw reason }
                if says {
                    Log.error(
                        "waits for the catalog", [("catalog", AddressPassword.masked(address)), ("what", reason.what), ("why", reason.why)])
                }
                usleep(UInt32(pause) * 1000)
            }
        }
    }
}
