// The executable `sluice`: hands its words to the program and exits with its status.

import Foundation
import Sluice

exit(Program(commands: []).main(Array(CommandLine.arguments.dropFirst())))
