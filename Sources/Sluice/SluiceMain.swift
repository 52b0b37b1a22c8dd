// What a package with jobs of its own calls: one line that makes its binary a whole `sluice`.
//
//     import Sluice
//     SluiceProgram.main(jobs: [MyJob()])
//
// Driver and workers must be the same binary, so every command is in it, and the jobs are found by name. What a job is
// written with comes along with this module.

@_exported import Engine
import Foundation
import SQLJobs

public enum SluiceProgram {
    /// Runs what the command line asks for, with these jobs, and ends the process with its exit status.
    public static func main(jobs: [any StreamingJob]) -> Never {
        let definitions = JobDefinitions(jobs, inner: BenchJobs.all + [SQLJob(settings: JobArgument.settingNames)])
        let program = Program(commands: commands(definitions), inner: BenchInnerCommands.all(definitions) + [SealPartCommand.command])
        let status = program.main(Array(CommandLine.arguments.dropFirst()))
        // Not `exit`: it would take down OpenSSL's state under the client's threads that are still closing their connections
        // (seen as "double free or corruption" after the last line). Whatever had to be written went through `write`.
        _exit(status)
    }

    /// Everything that the program can do, in the order in which help lists it within a group.
    package static func commands(_ jobs: JobDefinitions) -> [Command] {
        [
            RunCommand.command(jobs), ExplainCommand.command(jobs), BackfillCommand.command(jobs),
        ] + JobsCommands.all + JobsForgetting.all + [
            DriverCommand.command(jobs), WorkerCommand.command(jobs), SubmitCommand.command(jobs),
            BatchesCommand.command, OffsetsCommand.command, RetentionCommand.command, AuditCommand.command, QuarantineCommand.command,
            ReplayCommand.command(jobs), VerifySinkCommand.command(jobs), FsckCommand.command(jobs), RepairCommand.command(jobs), RedriveCommand.command(jobs),
        ] + CatalogCommands.all + [
            BrokerCommand.command, GenerateCommand.command, NewCommand.command, CheckCommand.command, TestCommand.command, QueryCommand.command,
            DoctorCommand.command,
            SpeedCommand.command, BenchCommand.command, LatencyCommand.command, ScaleCommand.command(jobs),
        ]
    }
}
