/// The values of one open chunk, whatever their type, side by side in one allocation.
///
/// A generic array would do the same in twenty lines less, but its code is not specialised for a type of another module: one publish then
/// looks up generic metadata a dozen times, and the bus passed 0.65 M events/s instead of several million. Here only the copy of the value
/// itself is generic.
///
/// Slots are initialised and emptied one by one; the owner knows which are which, and empties or destroys all before it lets go.
@safe package struct ValueStore: @unchecked Sendable {
    // Unchecked because of the pointer: a store has one owner at a time, the publishers under the mailbox's lock or the consumer, and the
    // values in it are Sendable.
    private var base: UnsafeMutableRawPointer?
    package private(set) var capacity = 0
    private let layout: ValueLayout

    package init(_ layout: ValueLayout) {
        unsafe base = nil
        self.layout = layout
    }

    /// Puts a value into an empty slot below ``capacity``.
    package mutating func put<Value: Sendable>(_ value: Value, at slot: Int) {
        assert(layout.type == ObjectIdentifier(Value.self) && slot < capacity)
        guard slot < capacity, let base = unsafe base else { return }
        // In bounds: `slot < capacity`, and the allocation holds `capacity` strides of this type.
        unsafe (base + slot * layout.stride).initializeMemory(as: Value.self, to: value)
    }

    /// Takes the value out of a full slot, which is empty afterwards.
    package mutating func take<Value: Sendable>(_ type: Value.Type, at slot: Int) -> Value? {
        guard slot < capacity, let base = unsafe base, layout.type == ObjectIdentifier(type) else { return nil }
        // The owner says that the slot is full, and `put` filled it with a value of this type.
        return unsafe (base + slot * layout.stride).assumingMemoryBound(to: Value.self).move()
    }

    /// Destroys the value in a full slot.
    package mutating func destroy(at slot: Int) {
        guard slot < capacity, let base = unsafe base else { return }
        unsafe layout.destroy(base + slot * layout.stride)
    }

    /// Moves full slots down by `count`.
    package mutating func shift(down count: Int, used: Range<Int>, where isFull: (Int) -> Bool) {
        guard let base = unsafe base else { return }
        for slot in used where isFull(slot) {
            // The target slot is empty: slots below the range are, and the ones in it were moved before.
            unsafe layout.move(base + slot * layout.stride, base + (slot - count) * layout.stride)
        }
    }

    /// Moves the value of a full slot into an empty one before it.
    package mutating func move(from slot: Int, to target: Int) {
        guard target < slot, slot < capacity, let base = unsafe base else { return }
        // Both in bounds; the owner says that the one is full and the other empty.
        unsafe layout.move(base + slot * layout.stride, base + target * layout.stride)
    }

    /// Gives the memory back. All slots must be empty.
    package mutating func deallocate() {
        unsafe base?.deallocate()
        unsafe base = nil
        capacity = 0
    }

    /// Makes room for a slot, and moves the full ones of those in use.
    package mutating func grow(beyond slot: Int, keeping used: Range<Int>, where isFull: (Int) -> Bool) {
        let target = max(16, capacity * 2, slot + 1)
        let fresh = UnsafeMutableRawPointer.allocate(byteCount: target * layout.stride, alignment: layout.alignment)
        if let base = unsafe base {
            for slot in used where isFull(slot) {
                unsafe layout.move(base + slot * layout.stride, fresh + slot * layout.stride)
            }
            unsafe base.deallocate()
        }
        unsafe base = unsafe fresh
        capacity = target
    }
}

/// What has to be known of a type to keep its values in raw memory.
@safe package struct ValueLayout: Sendable {
    let type: ObjectIdentifier
    let stride: Int
    let alignment: Int
    let destroy: @Sendable (UnsafeMutableRawPointer) -> Void
    let move: @Sendable (_ from: UnsafeMutableRawPointer, _ to: UnsafeMutableRawPointer) -> Void

    package init<Value: Sendable>(of _: Value.Type) {
        type = ObjectIdentifier(Value.self)
        stride = MemoryLayout<Value>.stride
        alignment = MemoryLayout<Value>.alignment
        // Both are called with slots that hold a value of this type (`move`: and an empty target), as `ValueStore` documents.
        unsafe destroy = { pointer in _ = unsafe pointer.assumingMemoryBound(to: Value.self).deinitialize(count: 1) }
        unsafe move = { from, to in unsafe to.moveInitializeMemory(as: Value.self, from: from.assumingMemoryBound(to: Value.self), count: 1)
        }
    }
}
