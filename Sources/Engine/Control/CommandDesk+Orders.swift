import Model

/// Signed orders are followed once, by each issuer within room of its own.
extension CommandDesk {
    /// Whether the order changes anything. One that does not is neither recorded nor told.
    func changesSomething(_ order: IncomingOrder) -> Bool {
        switch order.order {
        case .lockout(let scope, isOn: true):
            guard let entry = lockouts.entries.first(where: { $0.scope == scope }) else { return true }
            // A lockout that ends with its file, or that a machine ordered, becomes one that holds for longer.
            return lockoutRank(order.sender.name) > lockoutRank(entry.by)
        case .lockout(let scope, isOn: false): return lockouts.entries.contains { $0.scope == scope }
        case .lane(let issuer, let point, let lane): return self.lane(issuer: issuer, point: point) != lane
        case .acknowledge, .explain: return true
        }
    }

    private func lockoutRank(_ name: String) -> Int {
        if name == Sender.lockoutFile.name { return 0 }
        return site.issuers[name]?.category.isPerson ?? false ? 2 : 1
    }

    /// Keeps the digest of a signed order, so that a copy changes nothing. Refuses it where its issuer has no room left, except
    /// what stops something: that is followed all the same, and dropped where it changes nothing.
    mutating func remember(_ order: IncomingOrder, isNews: Bool) -> DeskRefusal? {
        guard let copy = order.copy else { return nil }
        let (name, isStop) = (order.sender.name, order.order.isStop)
        let isFull =
            isStop && isNews
            ? !orders.makeRoom(for: name, limit: site.limits.orders)
            : orders.counts[name, default: 0] >= site.limits.orders
        if isFull {
            if isStop { return nil }
            return DeskRefusal(code: .rateLimit, message: "more orders of \(name) than are remembered; later again")
        }
        let left = max(.zero, copy.expires - now.utc) + (isNews ? site.settings.longestExpiry : .zero)
        let entry = OrderBook.Entry(
            issuer: name, expires: copy.expires, forget: Deadline(left, after: now), isRecorded: isNews,
            isIdleStop: isStop && !isNews)
        orders.insert(copy.digest, entry)
        if isNews { output.record(entry.record(copy.digest)) }
        // Of an order that changed nothing only this time stays: after a start with a clock that is behind, a copy of it is not
        // taken for a new one.
        if isNews || !isStop && orders.isLatest(copy.issued) {
            orders.noteIssued(copy.issued)
            output.record(orders.bounds)
        }
        return nil
    }

    /// Why a signed order is not meant now: it has ended, or it may be a copy of one that is no longer remembered. What was
    /// remembered in memory alone is gone since this desk was made, so that an order from before is refused; only what stops
    /// something is followed all the same.
    func objectionToCopy(_ order: IncomingOrder) -> DeskRefusal? {
        guard let copy = order.copy else { return nil }
        guard copy.expires > now.utc else { return DeskRefusal(code: .expired, message: "the order has expired") }
        if let forgotten = orders.forgotten, copy.expires <= forgotten {
            return DeskRefusal(
                code: .expired, message: "the order ends before others that are forgotten already; is a clock wrong?")
        }
        if order.order.isStop { return nil }
        let start = now.utc - (now.uptime - made)
        if copy.issued < start {
            return DeskRefusal(code: .expired, message: "the order was issued before this start of the gateway")
        }
        if let before = orders.issuedBefore, copy.issued <= before {
            return DeskRefusal(
                code: .expired, message: "the order was issued before another that was followed before this start")
        }
        return nil
    }

    /// Whether an answer to `sender`, or an entry about what it sent, is due: each issuer that is proven has a share of its
    /// own, and everyone else shares one.
    mutating func isAnswerDue(to sender: Sender?) -> Bool {
        guard let sender, sender.isProven, site.issuers[sender.name] != nil else {
            return junkBucket.take(at: now.uptime)
        }
        let limits = site.limits
        var bucket =
            answerBuckets[sender.name]
            ?? TokenBucket(rate: limits.junkRate, burst: limits.junkBurst, at: now.uptime)
        defer { answerBuckets[sender.name] = bucket }
        return bucket.take(at: now.uptime)
    }
}
