-- Turns the Markdown (LaTeX, HTML) pieces of one document into Typst. Run as `pandoc lua markdown.lua`.
--
-- Reads from standard input  {prefix, places: {name: label}, level, pieces: [{text, format, images: {source: file}}]}
-- and writes to standard output  [{typst, formulas: [{name, typst, tex}], headings: [text]}].
-- A formula is a variable that the piece's Typst names. A piece that cannot be converted is shown as code.
-- Texts go into Typst as string literals and pandoc's own escaped markup: a notebook cannot inject Typst.

local ZERO_WIDTH_SPACE = "\u{200B}"
local LONG_WORD, PART_OF_WORD = 50, 25

-- Strings -------------------------------------------------------------------------------------------------------------

local function quoted(text)
  text = text:gsub("\\", "\\\\"):gsub('"', '\\"'):gsub("\n", "\\n"):gsub("\t", "    "):gsub("%c", "")
  return '"' .. text .. '"'
end

--- The word in pieces with blanks between: after "/", "_", "." and the like, but within neither 0.125 nor 1e-05.
local function jointed(word)
  word = word:gsub("([%w\x80-\xFF][/\\_,;:]+)", "%1 ")
  return (word:gsub("([%w\x80-\xFF][.-]+)%f[%a\x80-\xFF]", "%1 "))
end

local function cut(word)
  if utf8.len(word) <= LONG_WORD then return word end
  local parts = {}
  for start = 1, utf8.len(word), PART_OF_WORD do
    local stop = utf8.offset(word, math.min(start + PART_OF_WORD, utf8.len(word) + 1))
    parts[#parts + 1] = word:sub(utf8.offset(word, start), stop - 1)
  end
  return table.concat(parts, " ")
end

--- Lets words break that could be wider than the page: at their joints, or anywhere where those are far apart.
local function breakable(text)
  return (text:gsub("%S+", function(word)
    if utf8.len(word) <= LONG_WORD then return word end
    return (jointed(word):gsub("%S+", cut):gsub(" ", ZERO_WIDTH_SPACE))
  end))
end

--- Bytes that begin a Hebrew or Arabic letter in UTF-8. Some others begin so too: Typst looks at the letter itself.
local function may_be_right_to_left(text)
  return text:find("[\xD6-\xDD\xE0\xEF]") ~= nil
end

local function typst(code) return pandoc.RawInline("typst", code) end
local function typst_block(code) return pandoc.RawBlock("typst", code) end

local function written(blocks)
  return (pandoc.write(pandoc.Pandoc(blocks), "typst", {wrap_text = "none"}):gsub("%s+$", ""))
end

-- Formulas, code, pictures, links -------------------------------------------------------------------------------------

local function code_span(code)
  return typst("#raw(" .. quoted(breakable(code.text)) .. ");")
end

--- Collects the formulas under names of their own, so that one which Typst refuses spoils nothing around it.
local function math_filter(formulas, prefix)
  return function(math)
    local code = written({pandoc.Plain({math})}):gsub("\n", " ")
    if code:sub(1, 1) ~= "$" then return code_span(math) end  -- pandoc could not convert it
    -- Names that pandoc 3.9 writes and Typst 0.14 took away.
    code = code:gsub("%f[%a]sect%f[^%a]", "inter"):gsub("%.circle%f[^%a]", ".o"):gsub('"||"', '"‖"')
    code = code:gsub("%f[%a](bracket%.[lr])%.double%f[^%a]", "%1.stroked")
    local name = prefix .. "f" .. #formulas
    formulas:insert({name = name, typst = code, tex = math.text})
    return typst("#" .. name .. ";")
  end
end

local function code_block(block)
  local language = block.classes[1] and quoted(block.classes[1]) or "none"
  return typst_block("#wb.code(" .. quoted(breakable(block.text)) .. ", lang: " .. language .. ")")
end

--- HTML's width in pixels or per cent as Typst has it.
local function width_argument(image)
  local number, unit = (image.attributes.width or ""):match("^(%d+%.?%d*)(.*)$")
  if number == nil or tonumber(number) == 0 then return "" end
  if unit == "%" then return ", width: " .. number .. "%" end
  return ", width: " .. tonumber(number) * 0.75 .. "pt"
end

local function picture_call(name, image, files)
  local alt = quoted(pandoc.utils.stringify(image.caption))
  local make = "(..size) => image(" .. quoted(files[image.src]) .. ", alt: " .. alt .. ", ..size)"
  return "#wb." .. name .. "(" .. make .. width_argument(image) .. ")"
end

--- Only pictures that came with the notebook are shown; nothing is fetched, and no file of this machine is read.
local function missing_picture(image)
  local alt = pandoc.utils.stringify(image.caption)
  local text = pandoc.Emph({pandoc.Str("[picture: " .. breakable(alt ~= "" and alt or image.src:sub(1, 200)) .. "]")})
  return image.src:match("^https?://") and pandoc.Link({text}, image.src) or text
end

local function link_filter(targets)
  return function(link)
    if link.target:match("^https?://") or link.target:match("^mailto:") then return nil end
    local id = targets[pandoc.text.lower(link.target:gsub("^#", ""):gsub("%%20", "-"))]
    if link.target:sub(1, 1) == "#" and id then
      link.target = "#" .. id
      return link
    end
    return link.content  -- a place outside this document
  end
end

-- HTML inside Markdown ------------------------------------------------------------------------------------------------

local function read_html(text)
  local ok, document = pcall(pandoc.read, text, "html", nil, {})
  return ok and document.blocks or pandoc.Blocks({})
end

--- HTML blocks as a whole, neighbours together, so that a table with blank lines in it stays one table.
local function html_blocks(blocks)
  local result, pending = pandoc.Blocks({}), ""
  local function flush()
    if pending ~= "" then result:extend(read_html(pending)) end
    pending = ""
  end
  for _, block in ipairs(blocks) do
    if block.t == "RawBlock" and block.format == "html" then
      pending = pending .. block.text .. "\n"
    else
      flush()
      result:insert(block)
    end
  end
  flush()
  return result
end

local STYLES = {
  b = pandoc.Strong, strong = pandoc.Strong, i = pandoc.Emph, em = pandoc.Emph, u = pandoc.Underline,
  s = pandoc.Strikeout, del = pandoc.Strikeout, sub = pandoc.Subscript, sup = pandoc.Superscript,
}

local function html_inline(tag)
  if tag:match("^<br") then return pandoc.Inlines({pandoc.LineBreak()}) end
  if tag:match("^<img") then return pandoc.utils.blocks_to_inlines(read_html(tag)) end
  return pandoc.Inlines({})
end

--- Inline tags come one by one: what stands between a tag and its end gets the tag's style.
local function html_inlines(inlines)
  local stack = {{content = pandoc.Inlines({})}}
  for _, inline in ipairs(inlines) do
    local raw = inline.t == "RawInline" and inline.format == "html" and inline.text:lower()
    local top = stack[#stack]
    if not raw then
      top.content:insert(inline)
    elseif STYLES[raw:match("^<(%a+)>$") or ""] then
      stack[#stack + 1] = {name = raw:match("^<(%a+)>$"), content = pandoc.Inlines({})}
    elseif #stack > 1 and raw == "</" .. top.name .. ">" then
      stack[#stack] = nil
      stack[#stack].content:insert(STYLES[top.name](top.content))
    else
      top.content:extend(html_inline(inline.text))
    end
  end
  for level = #stack, 2, -1 do stack[level - 1].content:extend(stack[level].content) end
  return stack[1].content
end

-- Direction, headings, tables -----------------------------------------------------------------------------------------

--- Typst decides by the first letters which way the block goes.
local function directed(block)
  local text = pandoc.utils.stringify(block)
  local start = text:sub(1, (utf8.offset(text, 100) or #text + 1) - 1)
  return {typst_block("#wb.directed(" .. quoted(start) .. ")["), block, typst_block("]")}
end

local function directed_if_needed(block)
  if may_be_right_to_left(pandoc.utils.stringify(block)) then return directed(block) end
end

local function lone_picture(files)
  return function(para)
    local image = #para.content == 1 and para.content[1]
    if image and image.t == "Image" and files[image.src] then
      return typst_block(picture_call("picture", image, files))
    end
    return directed_if_needed(para)
  end
end

local ALIGNMENT = {AlignRight = "right", AlignCenter = "center"}

local function longest_word(text, longest)
  for word in breakable(text):gsub(ZERO_WIDTH_SPACE, " "):gmatch("%S+") do
    if utf8.len(word) > utf8.len(longest) then longest = word end
  end
  return longest
end

local function table_block(block)
  local simple = pandoc.utils.to_simple_table(block)
  local has_head = simple.headers:find_if(function(cell) return #cell > 0 end) ~= nil
  local rows = has_head and pandoc.List({simple.headers}) or pandoc.List({})
  rows:extend(simple.rows)
  local cells, align, words = {}, {}, {}
  for x, side in ipairs(simple.aligns) do
    align[x], words[x] = ALIGNMENT[side] or "left", ""
  end
  for y, row in ipairs(rows) do
    for x, content in ipairs(row) do
      local bold = has_head and y == 1 and ", bold: true" or ""
      cells[#cells + 1] = ("wb.c(%d, %d, [%s]%s)"):format(x - 1, y - 1, written(content), bold)
      words[x] = longest_word(pandoc.utils.stringify(pandoc.Blocks(content)), words[x])
    end
  end
  local longest = pandoc.List(words):map(quoted)
  return typst_block(("#wb.data-table(%d, %d, 1, (%s,), (%s,), (%s,))"):format(
    #align, has_head and 1 or 0, table.concat(align, ", "), table.concat(longest, ", "), table.concat(cells, ",\n")
  ))
end

-- A document ----------------------------------------------------------------------------------------------------------

local function read(piece)
  -- The empty table is a sandbox: \input and the like find no file.
  local ok, document = pcall(pandoc.read, piece.text, piece.format, nil, {})
  if not ok then return pandoc.Pandoc({pandoc.CodeBlock(piece.text)}) end
  return document:walk({Blocks = html_blocks, Inlines = html_inlines})
end

--- Moves the highest heading used to a level; adds the place in the document that each link target stands for.
local function prepare_headings(documents, prefix, level, targets)
  local highest, count = 6, 0
  for _, document in ipairs(documents) do
    document:walk({Header = function(header) highest = math.min(highest, header.level) end})
  end
  for index = 1, #documents do
    documents[index] = documents[index]:walk({Header = function(header)
      count = count + 1
      local id = prefix .. "h" .. count
      local jupyter_id = pandoc.text.lower(pandoc.utils.stringify(header):gsub("%s", "-"))
      for _, target in ipairs({header.identifier, jupyter_id}) do targets[target] = targets[target] or id end
      return pandoc.Header(header.level - highest + level, header.content, pandoc.Attr(id))
    end})
  end
end

local function heading_texts(document)
  local texts = pandoc.List({})
  document:walk({Header = function(header) texts:insert(pandoc.utils.stringify(header)) end})
  return texts
end

local function convert(document, files, targets, prefix)
  local formulas = pandoc.List({})
  local texts = heading_texts(document)
  local blocks = document
    :walk({Str = function(str) return pandoc.Str(breakable(str.text)) end})
    :walk({
      Header = directed_if_needed, Para = lone_picture(files), Plain = directed_if_needed,
      BulletList = directed_if_needed, OrderedList = directed_if_needed, Table = directed_if_needed,
    })
    :walk({
      HorizontalRule = function() return typst_block("#wb.rule") end,
      Math = math_filter(formulas, prefix), Code = code_span, CodeBlock = code_block, Link = link_filter(targets),
      Image = function(image)
        return files[image.src] and typst(picture_call("inline-picture", image, files) .. ";") or missing_picture(image)
      end,
    })
    :walk({Table = table_block}).blocks
  return {typst = written(blocks), formulas = formulas, headings = texts}
end

local input = pandoc.json.decode(io.read("a"), false)
local documents = {}
for index, piece in ipairs(input.pieces) do documents[index] = read(piece) end
local targets = input.places
prepare_headings(documents, input.prefix, input.level, targets)
local output = {}
for index, document in ipairs(documents) do
  local piece = input.pieces[index]
  local ok, result = pcall(convert, document, piece.images, targets, input.prefix .. "m" .. index .. "-")
  local as_code = {typst = written({code_block(pandoc.CodeBlock(piece.text))}), formulas = {}, headings = {}}
  output[index] = ok and result or as_code
end
io.write(pandoc.json.encode(output))
