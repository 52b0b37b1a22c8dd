// The executable `sluice`: hands its words to the program and exits with its status.

import Foundation
import Sluice

exit(Program(commands: [GenerateCommand.command]).main(Array(CommandLine.arguments.dropFirst())))
