// `fuzz`: the command behind `scripts/fuzz`.
//
//   fuzz FORMAT --executions N [--seed S] [--keep FILE]   mutates by itself and watches the memory
//   fuzz FORMAT --replay FILE                             runs one input
//   fuzz FORMAT [libFuzzer's options]                     in a build with -DLIBFUZZER, guided by coverage
//   fuzz FORMAT --seeds DIR                               there, too: writes the inputs to begin with
//
// Exit status: 0 nothing found, 1 a defect or growing memory, 2 wrong usage.

import Fuzzing
import Glibc

/// Growth between the first twentieth and the end that is taken for a leak.
let growthLimitBytes = 16 << 20

func say(_ text: String) {
    print(text)
    fflush(nil)
}

func complain(_ text: String) {
    let bytes = Array(text.utf8)
    _ = write(STDERR_FILENO, bytes, bytes.count)
}

func usage() -> Never {
    complain("usage: fuzz avro|json|block|value|fetch|unpack|scram|sql|bind|chunk|state --executions N [--seed S] [--keep FILE] | --replay FILE\n")
    exit(2)
}

func bytes(of path: String) -> [UInt8] {
    guard let file = fopen(path, "r") else {
        complain("fuzz: \(path) cannot be read\n")
        exit(2)
    }
    defer { fclose(file) }
    var result: [UInt8] = []
    var part = [UInt8](repeating: 0, count: 65_536)
    while true {
        let count = fread(&part, 1, part.count, file)
        if count == 0 { return result }
        result += part[..<count]
    }
}

let arguments = CommandLine.arguments
guard arguments.count >= 2, let format = FuzzFormat(rawValue: arguments[1]) else { usage() }

#if LIBFUZZER
    @_silgen_name("LLVMFuzzerRunDriver")
    func runDriver(
        _ count: UnsafeMutablePointer<CInt>, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?>,
        _ body: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
    ) -> CInt

    nonisolated(unsafe) let subject = try format.makeSubject()
    if arguments.count == 4, arguments[2] == "--seeds" {
        for (number, seed) in subject.seeds.enumerated() {
            guard let file = fopen("\(arguments[3])/seed-\(number)", "w"), fwrite(seed, 1, seed.count, file) == seed.count else {
                complain("fuzz: seeds cannot be written to \(arguments[3])\n")
                exit(2)
            }
            fclose(file)
        }
        exit(0)
    }
    var count = CommandLine.argc - 1
    // libFuzzer takes the name of the program for its first argument.
    var rest: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = CommandLine.unsafeArgv + 1
    rest![0] = CommandLine.unsafeArgv[0]
    exit(
        runDriver(&count, &rest) { start, length in
            if case .defect(let what) = subject.run(UnsafeBufferPointer(start: start, count: length)) { fatalError(what) }
            return 0
        })
#else
    var executions: Int?
    var seed: UInt64 = 1
    var keep: String?
    var index = 2
    while index + 1 < arguments.count {
        switch arguments[index] {
        case "--executions": executions = Int(arguments[index + 1])
        case "--seed": seed = UInt64(arguments[index + 1]) ?? 1
        case "--keep": keep = arguments[index + 1]
        case "--replay":
            let outcome = bytes(of: arguments[index + 1]).withUnsafeBufferPointer { [subject = try format.makeSubject()] in
                subject.run($0)
            }
            say("\(format.rawValue): \(outcome)")
            if case .defect = outcome { exit(1) }
            exit(0)
        default: usage()
        }
        index += 2
    }
    guard index == arguments.count, let executions else { usage() }

    let started = clock()
    let report = try FuzzRun(format: format, executions: executions, seed: seed, keep: keep).run()
    let seconds = Double(clock() - started) / Double(CLOCKS_PER_SEC)
    if let defect = report.defect {
        say("\(format.rawValue): \(defect.what), after \(report.executions) executions with seed \(seed)")
        say("input: " + defect.input.map { String($0, radix: 16) }.joined(separator: " "))
        exit(1)
    }
    let rate = Int(Double(report.executions) / max(seconds, 0.001))
    say(
        "\(format.rawValue): \(report.executions) executions, \(report.accepted) accepted, seed \(seed), \(Int(seconds)) s of CPU, "
            + "\(rate) a second, resident \(report.startResidentBytes >> 10) KiB at the start, \(report.endResidentBytes >> 10) KiB at the end")
    if report.endResidentBytes - report.startResidentBytes > growthLimitBytes {
        say("\(format.rawValue): the memory grew")
        exit(1)
    }
#endif
