// swift-tools-version: 6.1
import PackageDescription

// Who may import whom, top to bottom: headgate → Gateway → the adapters → Engine → Model.
// The adapters never import each other. Tests/TidyTests holds the rules that the package graph cannot.

/// For tests that speak to sockets and terminals in C: which of several modules is said to define a C structure depends on
/// the order in which files are compiled, so that none of them is the one to import.
let strictWithC: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    // An async function runs where its caller runs: from the wire to the journal nothing changes threads.
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .unsafeFlags(["-warnings-as-errors"]),
]
let strict = strictWithC + [.enableUpcomingFeature("MemberImportVisibility")]

/// How the program that is shipped is linked. By default a program with the Swift runtime inside exports each of its
/// 33,000 symbols, which nobody looks up, and tells the loader of each address by 24 bytes: all in memory while it runs.
let lean: [LinkerSetting] = [
    .unsafeFlags(
        [
            "-use-ld=lld", "-Xlinker", "--no-export-dynamic", "-Xlinker", "-z", "-Xlinker", "pack-relative-relocs",
        ], .when(platforms: [.linux], configuration: .release))
]

let nio: [Target.Dependency] = [
    .product(name: "NIOCore", package: "swift-nio"),
    .product(name: "NIOPosix", package: "swift-nio"),
]
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let lifecycle: Target.Dependency = .product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let unixSignals: Target.Dependency = .product(name: "UnixSignals", package: "swift-service-lifecycle")
let grdb: Target.Dependency = .product(name: "GRDB", package: "GRDB.swift")
let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")

let package = Package(
    name: "headgate",
    products: [.executable(name: "headgate", targets: ["headgate"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/LebJe/TOMLKit", from: "0.6.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/swiftcsv/SwiftCSV", from: "0.10.0"),
    ],
    targets: [
        // The field's words and their arithmetic.
        .target(name: "Model", swiftSettings: strict),
        // Files that a person names, read without trust.
        .target(name: "Files", swiftSettings: strict),
        // What makes a log checkable by others: hash tree, signed checkpoints, keys.
        .target(name: "Audit", dependencies: [crypto], swiftSettings: strict),
        // Both data paths, as decisions over ports.
        .target(name: "Engine", dependencies: ["Model"], swiftSettings: strict),

        // C libraries.
        .systemLibrary(name: "CModbus", pkgConfig: "libmodbus", providers: [.apt(["libmodbus-dev"])]),
        .systemLibrary(name: "CMosquitto", pkgConfig: "libmosquitto", providers: [.apt(["libmosquitto-dev"])]),
        // TLS to brokers: the library that libmosquitto is linked with anyway.
        .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),

        // openpty and the kernel's serial ioctls, which the toolchain's Glibc module leaves out.
        .systemLibrary(name: "CTerminal"),

        // Adapters.
        .target(
            name: "ModbusBus", dependencies: ["CModbus", "CTerminal", "Engine", "Model"] + nio, swiftSettings: strict),
        .target(
            name: "SQLiteJournal", dependencies: ["Audit", "Engine", "Files", "Model", grdb], swiftSettings: strict),
        .target(
            name: "MosquittoUplink", dependencies: ["CMosquitto", "COpenSSL", "Engine", "Files", "Model"],
            swiftSettings: strict),
        .target(
            name: "Profiles",
            dependencies: ["Files", "Model", .product(name: "Yams", package: "Yams")],
            exclude: ["Schemas"],
            swiftSettings: strict),
        // Files of other programs, made into profiles and site fragments: text in, text out.
        .target(
            name: "Importers",
            dependencies: [
                "Model", .product(name: "SwiftCSV", package: "SwiftCSV"), .product(name: "TOMLKit", package: "TOMLKit"),
                .product(name: "Yams", package: "Yams"),
            ],
            swiftSettings: strict),
        .target(
            name: "Payloads", dependencies: ["Audit", "Engine", "Model", crypto], exclude: ["Schemas"],
            swiftSettings: strict),
        .target(name: "Console", dependencies: ["Engine", "Model"] + nio, swiftSettings: strict),
        .target(name: "Simulator", dependencies: ["CModbus", "CTerminal", "Model"], swiftSettings: strict),

        // Composition and the program.
        .target(
            name: "Gateway",
            dependencies: [
                "Audit", "Console", "Engine", "Files", "Model", "ModbusBus", "MosquittoUplink", "Payloads", "Profiles",
                "SQLiteJournal",
                "Simulator", lifecycle, logging, unixSignals,
            ] + nio,
            swiftSettings: strict),
        .executableTarget(
            name: "headgate",
            dependencies: [
                "Audit", "Engine", "Gateway", "Importers", "Model", "Payloads", "Profiles", "Simulator", lifecycle,
                logging,
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                unixSignals,
            ],
            swiftSettings: strict, linkerSettings: lean),

        // Fakes, the manual clock and the contract suites; linked into tests only.
        .target(name: "GatewayTesting", dependencies: ["Engine", "Model"], swiftSettings: strict),

        .testTarget(name: "AuditTests", dependencies: ["Audit", "GatewayTesting"], swiftSettings: strict),
        .testTarget(name: "ModelTests", dependencies: ["Model"], swiftSettings: strict),
        .testTarget(name: "EngineTests", dependencies: ["Engine", "GatewayTesting", "Model"], swiftSettings: strict),
        .testTarget(
            name: "ModbusBusTests",
            dependencies: ["CModbus", "CTerminal", "Engine", "GatewayTesting", "Model", "ModbusBus", "Simulator"] + nio,
            swiftSettings: strictWithC),
        .testTarget(
            name: "SQLiteJournalTests",
            dependencies: ["Audit", "Engine", "GatewayTesting", "Model", "SQLiteJournal", grdb],
            swiftSettings: strict),
        .testTarget(
            name: "MosquittoUplinkTests",
            dependencies: ["Engine", "Gateway", "GatewayTesting", "Model", "MosquittoUplink", "Payloads"],
            swiftSettings: strict),
        .testTarget(
            name: "ImportersTests",
            dependencies: ["Importers", "Model", "Profiles", .product(name: "Yams", package: "Yams")],
            swiftSettings: strict),
        .testTarget(name: "ProfilesTests", dependencies: ["Model", "Profiles"], swiftSettings: strict),
        .testTarget(
            name: "PayloadsTests", dependencies: ["Audit", "Engine", "GatewayTesting", "Model", "Payloads", crypto],
            swiftSettings: strict),
        .testTarget(name: "ConsoleTests", dependencies: ["Console", "Engine", "Model"] + nio, swiftSettings: strict),
        .testTarget(
            name: "SimulatorTests", dependencies: ["CModbus", "Model", "Profiles", "Simulator"], swiftSettings: strict),
        .testTarget(
            name: "GatewayTests",
            dependencies: [
                "Audit", "Console", "Engine", "Files", "Gateway", "GatewayTesting", "Model", "Payloads", "Profiles",
                "SQLiteJournal", "Simulator",
                lifecycle, logging, grdb,
            ],
            swiftSettings: strict),
        .testTarget(
            name: "CommandLineTests",
            dependencies: [
                "Console", "Engine", "Gateway", "Model", "Payloads", "Profiles", "SQLiteJournal", "Simulator",
                "headgate",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ] + nio,
            swiftSettings: strict),
        .testTarget(name: "TidyTests", swiftSettings: strict),
    ],
    swiftLanguageModes: [.v6]
)
