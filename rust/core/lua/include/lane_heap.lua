-- A heap of tables with `tag` and `tenant`: the lowest tag first, then the first name.

local function precedes(one, other) return one.tag < other.tag or one.tag == other.tag and one.tenant < other.tenant end

local function heap_push(heap, item)
  local at = #heap + 1
  while at > 1 do
    local above = math.floor(at / 2)
    if not precedes(item, heap[above]) then break end
    heap[at] = heap[above]
    at = above
  end
  heap[at] = item
end

local function heap_pop(heap)
  local first, item = heap[1], table.remove(heap)
  local at, size = 1, #heap
  if size == 0 then return first end
  while 2 * at <= size do
    local below = 2 * at
    if below < size and precedes(heap[below + 1], heap[below]) then below = below + 1 end
    if not precedes(heap[below], item) then break end
    heap[at] = heap[below]
    at = below
  end
  heap[at] = item
  return first
end
