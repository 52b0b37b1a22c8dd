// SCRAM against the example of RFC 7677, and what a server may not say.

import Engine
import Testing

struct ScramTests {
    static let serverFirst = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"

    func exchange(derive: ScramExchange.Derivation? = nil) -> ScramExchange {
        ScramExchange(user: "user", password: "pencil", is512: false, nonce: "rOprNGfwEbeRWgbNEkqO", derive: derive)
    }

    @Test func `the example of the RFC`() throws {
        var exchange = exchange()
        #expect(exchange.first == "n,,n=user,r=rOprNGfwEbeRWgbNEkqO")
        let final = try exchange.final(after: Self.serverFirst)
        #expect(
            final
                == "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
        try exchange.check(serverFinal: "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
    }

    @Test(arguments: ["v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", "v=", "", "e=other-error", "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95A=="])
    func `a server that does not know the password is refused`(answer: String) throws {
        var exchange = exchange()
        _ = try exchange.final(after: Self.serverFirst)
        #expect(throws: StreamError.self) { try exchange.check(serverFinal: answer) }
    }

    @Test func `a signature before the exchange proves nothing`() {
        #expect(throws: StreamError.self) { try exchange().check(serverFinal: "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=") }
    }

    @Test(arguments: [
        "r=another,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", "r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        "r=rOprNGfwEbeRWgbNEkqOx,s=,i=4096", "r=rOprNGfwEbeRWgbNEkqOx,s=!!!!,i=4096", "r=rOprNGfwEbeRWgbNEkqOx,s=AAAA,i=1",
        "r=rOprNGfwEbeRWgbNEkqOx,s=AAAA,i=1000001", "r=rOprNGfwEbeRWgbNEkqOx,s=AAAA,i=x", "", ",,,", "e=unknown-user",
    ])
    func `what no server may ask for never reaches the derivation`(answer: String) {
        var isDerived = false
        var exchange = exchange { _, _, _ in
            isDerived = true
            return [UInt8](repeating: 0, count: 32)
        }
        #expect(throws: StreamError.self) { try exchange.final(after: answer) }
        #expect(!isDerived)
    }

    @Test func `the signs that mean something are written otherwise`() {
        let exchange = ScramExchange(user: "a=b,c", password: "", is512: true, nonce: "n")
        #expect(exchange.first == "n,,n=a=3Db=2Cc,r=n")
    }
}
