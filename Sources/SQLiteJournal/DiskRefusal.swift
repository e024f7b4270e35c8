import Engine
import Files
import Foundation
import GRDB
import Glibc
import Model

/// Tells a disk that refuses from a file that is damaged or closed to this user: the first may pass by itself.
enum DiskRefusal {
    private static let codes: [ResultCode] = [
        .SQLITE_FULL, .SQLITE_IOERR, .SQLITE_READONLY, .SQLITE_CANTOPEN,
    ]

    /// - Parameter path: of the database.
    static func isRefusal(_ error: any Error, of path: String) -> Bool {
        switch error {
        case let error as DatabaseError: codes.contains(error.resultCode) && !isClosed(path)
        case let error as CocoaError: [.fileWriteOutOfSpace, .fileWriteVolumeReadOnly].contains(error.code)
        case JournalError.storage: true
        case _: false
        }
    }

    /// Whether the file or its folder is closed to this user, which no waiting mends.
    private static func isClosed(_ path: String) -> Bool {
        let folder = (path as NSString).deletingLastPathComponent
        return (StoreFile.suffixes.map { path + $0 } + [folder]).contains { access($0, W_OK) != 0 && errno == EACCES }
    }
}

/// A file that does nothing but take room: let go of at a start on a full disk, so that the database can be opened and own rows
/// can be evicted.
struct Ballast {
    static let fileName = "journal.ballast"
    private static let byteCount: off_t = 1 << 20
    /// On a smaller file system rows need the room more.
    private static let leastFree: UInt64 = 16 << 20

    private let path: String
    private let folder: String

    init(folder: String) {
        self.folder = folder
        path = folder + "/" + Self.fileName
    }

    /// - Returns: whether there was any.
    func release() -> Bool {
        unlink(path) == 0
    }

    /// Takes the room again, where there is plenty.
    func restore() {
        guard StoreFile.byteCount(path) < Self.byteCount, let room = DiskRoom(of: folder), room.free >= Self.leastFree
        else { return }
        let file = Glibc.open(path, O_WRONLY | O_CREAT | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC, 0o640)
        guard file >= 0 else { return }
        if posix_fallocate(file, 0, Self.byteCount) != 0 { unlink(path) }
        close(file)
    }
}

/// What can be read of a journal's file where nothing can be written beside it.
struct JournalGlance {
    let epoch: UInt32
    let first: Position
    let next: Position
    let publishers: [String: [PositionInterval]]
    let lastRecorded: UnixTime?

    /// Nil where nothing can be read, or what is there is not the newest.
    init?(path: String) {
        // A log that is not empty holds rows that the file alone does not.
        guard StoreFile.byteCount(path) > 0, StoreFile.byteCount(path + "-wal") == 0 else { return nil }
        do {
            let queue = try DatabaseQueue(path: StoreFile.immutablePath(path), configuration: StoreFile.readOnly)
            defer { try? queue.close() }
            (epoch, first, next, publishers, lastRecorded) = try queue.read { db in
                let (first, next) = try JournalDatabase.bounds(db)
                return (
                    try JournalDatabase.storedEpoch(db), first, next, try JournalDatabase.publishers(db),
                    try JournalDatabase.lastRecorded(db)
                )
            }
        } catch {
            return nil
        }
    }
}
