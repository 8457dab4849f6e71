-- A pandoc reader: a report's blocks (JSON, from render.py) as one document, for HTML or for Typst.
--
-- Of HTML that a notebook brings, only what pandoc's document can say is kept, without ids, classes and styles: neither
-- page has any of it as it came. For Typst every text becomes a string literal or pandoc's escaped markup.

local MARKDOWN = "gfm-emoji-yaml_metadata_block"  -- GitHub's is what Jupyter shows
local LABELS = {fig = "@{Figure}", tbl = "@{Table}"}
local LONG_WORD = 30
local stringify = pandoc.utils.stringify
local order, typst  -- what is to be made, and whether for Typst

-- Strings -------------------------------------------------------------------------------------------------------------

local function raw(text) return pandoc.RawBlock(order.to, text) end
local function inline(text) return pandoc.RawInline(order.to, text) end
local function escaped(text) return (text:gsub("&", "&amp;"):gsub("<", "&lt;"):gsub(">", "&gt;"):gsub('"', "&quot;")) end

local function literal(text)
  return '"' .. text:gsub("\\", "\\\\"):gsub('"', '\\"'):gsub("\n", "\\n"):gsub("\t", "    "):gsub("%c", "") .. '"'
end

--- Whether the first letter that has a direction is Hebrew or Arabic; of ``any``, whether there is one.
local function has_right_to_left(text, any)
  for _, code in utf8.codes(text) do
    local digit = (code >= 0x660 and code <= 0x669) or (code >= 0x6F0 and code <= 0x6F9)
    if (code >= 0x5D0 and code <= 0x8FF and not digit) or (code >= 0xFB1D and code <= 0xFEFC) then return true end
    local letter = (code >= 65 and code <= 90) or (code >= 97 and code <= 122) or (code >= 0xC0 and code < 0x2000)
    if not any and ((letter and not digit) or code >= 0x2C00) then return false end
  end
  return false
end

--- In a report that runs from right to left all texts do; those without such a letter are set apart within their lines.
local IS_RTL = "@[direction]" == "rtl"
local function runs_right_to_left(text) return IS_RTL or has_right_to_left(text) end
local function direction(text) return runs_right_to_left(text) and "rtl" or "ltr" end

local function set_apart(inlines)
  local text = stringify(inlines)
  if not IS_RTL or text == "" or has_right_to_left(text, true) then return inlines end
  if not typst then return {pandoc.Span(inlines, pandoc.Attr("", {}, {{"dir", "ltr"}}))} end
  return pandoc.Inlines({pandoc.Str("\u{2066}")}) .. inlines .. {pandoc.Str("\u{2069}")}  -- Unicode's isolates
end

--- What pandoc writes of blocks or inlines.
local function written(content, format)
  return (pandoc.write(pandoc.Pandoc(content), format, {wrap_text = "none"}):gsub("%s+$", ""))
end

-- Texts of the notebook -----------------------------------------------------------------------------------------------

local function nothing() return {} end
local function paragraph(blocks) return pandoc.Para(pandoc.utils.blocks_to_inlines(blocks)) end

local function has_html(blocks)
  local found = false
  local function note(element) found = found or element.format == "html" end
  blocks:walk({RawBlock = note, RawInline = note})
  return found
end

local function rows_of(tbl)
  local rows = pandoc.List(tbl.head.rows)
  for _, body in ipairs(tbl.bodies) do rows = rows .. body.head .. body.body end
  return rows .. tbl.foot.rows
end

local FOLDED = {details = true, summary = true}
local CLASSES = {kbd = true, mark = true, details = true, summary = true}

--- The element with no attribute that could load, run or move something.
local function bare(element)
  local sizes = pandoc.List({"width", "height"})
    :map(function(side) return {side, (element.attributes[side] or ""):match("^[%d.]+%%?$") or ""} end)
    :filter(function(size) return size[2] ~= "" end)
  local is_code = element.t == "CodeBlock"
  element.attr = pandoc.Attr("", element.classes:filter(function(name) return CLASSES[name] or is_code end), sizes)
  return element
end

local BARE = {RawBlock = nothing, RawInline = nothing}
for _, kind in ipairs({"Code", "CodeBlock", "Div", "Figure", "Header", "Image", "Link", "Span"}) do BARE[kind] = bare end

function BARE.Table(tbl)
  tbl.colspecs = pandoc.List(tbl.colspecs):map(function(spec) return {spec[1], nil} end)
  for _, part in ipairs(pandoc.List({tbl.head, tbl.foot}) .. tbl.bodies) do part.attr = pandoc.Attr() end
  for _, row in ipairs(rows_of(tbl)) do
    row.attr = pandoc.Attr()
    for _, cell in ipairs(row.cells) do cell.attr = pandoc.Attr() end
  end
  return bare(tbl)
end

--- The empty table is a sandbox: \input and the like find no file.
local function read(text, format)
  if #text > order.longest then return pandoc.Blocks({pandoc.CodeBlock(text)}) end
  -- Pandoc knows no details, but classes.
  for tag in pairs(format:find("^html") and FOLDED or {}) do
    text = text:gsub("<(" .. tag .. ")[^>]*>", '<div class="%1">'):gsub("</" .. tag .. ">", "</div>")
  end
  local ok, document = pcall(pandoc.read, text, format, nil, {})
  if not ok then return pandoc.Blocks({pandoc.CodeBlock(text)}) end
  -- Written as HTML and read as such, tags become what they mean.
  if format == MARKDOWN and has_html(document.blocks) then
    local page = pandoc.write(document, "html", {html_math_method = "mathjax", wrap_text = "none"})
    return read(page, "html+tex_math_single_backslash")
  end
  return document.blocks:walk(BARE)
end

--- A text with its references.
local function polished(text, names)
  local result, last = pandoc.Inlines({}), 1
  local function say(piece) if piece ~= "" then result:insert(pandoc.Str(piece)) end end
  for start, kind, name, stop in text:gmatch("()@(%a+)%-([%w_][%w_%-]*)()") do
    local before = start > 1 and text:sub(start - 1, start - 1) or ""
    if LABELS[kind] and not before:match("[%w_.@/\\&+-]") then
      local name_only = name:gsub("%-+$", "")
      local place = names[kind .. "-" .. name_only]
      say(text:sub(last, start - 1))
      if place then
        result:insert(pandoc.Link(LABELS[kind] .. "\u{A0}" .. place.number, "#" .. place.anchor))
      else
        result:extend({pandoc.Str(LABELS[kind] .. " "), pandoc.Code(name_only), pandoc.Str(" @{(not in this report)}")})
      end
      last = stop - (#name - #name_only)
    end
  end
  say(text:sub(last))
  return result
end

--- Citations such as [@he2016; @tan2019, p. 3] are plain text to GitHub's Markdown; pandoc's own tells what is in them.
local function cited(inlines)
  local result, i = pandoc.Inlines({}), 1
  while i <= #inlines do
    local stop, text = i, inlines[i].t == "Str" and inlines[i].text or ""
    while text:find("[@", 1, true) and not text:find("%[@.*%]") and stop < #inlines do
      stop = stop + 1
      text = text .. stringify(inlines[stop])
    end
    local is_citation = text:find("%[@.*%]") and not text:find("@fig%-") and not text:find("@tbl%-")
    local blocks = is_citation and pandoc.read(text, "markdown", nil, {}).blocks:walk(BARE)
    result:extend(blocks and pandoc.utils.blocks_to_inlines(blocks) or {inlines[i]})
    i = is_citation and stop + 1 or i + 1
  end
  return result
end

--- Writes citations out in the texts of the blocks; the list of the works, if any is cited.
local function bibliography(blocks)
  local about = {references = pandoc.read(order.bibliography, "bibtex").meta.references, ["link-citations"] = true}
  local texts = pandoc.List(blocks):filter(function(b) return b.read end)
  local all = pandoc.Pandoc(texts:map(function(b) return pandoc.Div(b.read) end), about)
  local found = pandoc.utils.citeproc(all).blocks:walk({Cite = function(cite) return cite.content end})
  for i, b in ipairs(texts) do b.read = found[i].content end
  return found[#texts + 1] and found[#texts + 1].content
end

local function slug(text)
  local parts = {}
  for part in pandoc.text.lower(text):gmatch("[%w_\x80-\xFF]+") do parts[#parts + 1] = part end
  return "section-" .. table.concat(parts, "-")
end

--- Links within the notebook find their headings however they are spelled; links that lead nowhere become text.
local function linked(chapter)
  return function(link)
    local target = link.target
    if target:match("^https?:") or target:match("^mailto:") or order.works[target] or chapter.anchors[target:sub(2)] then return nil end
    local heading = target:match("^#(.+)$")
    local id = heading and chapter.headings[slug(heading:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end))]
    local notebook = not typst and target:match("^%.?/?([%w_-]+)%.ipynb")
    if not id and not notebook then return link.content end
    return pandoc.Link(link.content, id and "#" .. id or notebook .. ".html")
  end
end

--- A function that makes the image in a size: Typst's errors about a picture then name the line that it stands on.
local function image_maker(file, alt)
  return ("/*%s*/(..size) => image(%s, alt: %s, ..size)"):format(file, literal(file), literal(alt))
end

--- HTML's width in pixels or per cent as Typst has it.
local function width_argument(image)
  local number, unit = (image.attributes.width or ""):match("^(%d+%.?%d*)(%%?)$")
  if number == nil or tonumber(number) == 0 then return "" end
  return ", width: " .. (unit == "%" and number .. "%" or tonumber(number) * 0.75 .. "pt")
end

local function image_of(figure)
  local file = order.files[figure.file] and figure.file or figure.other
  return order.files[file] and image_maker(file, figure.alt) or "none"
end

--- Only pictures that came with the notebook or lie beside it are shown.
local function pictured(image)
  local alt = stringify(image.caption)
  if order.files[image.src] then
    return typst and inline("#wb.text-picture(" .. image_maker(image.src, alt) .. width_argument(image) .. ");") or nil
  end
  local named = alt ~= "" and alt or (image.src:match("^data:") or order.files[image.src] == false) and "not shown" or image.src:sub(1, 200)
  local text = pandoc.Span({pandoc.Str("[picture: " .. named .. "]")})
  return image.src:match("^https?:") and pandoc.Link({text}, image.src) or text
end

--- A picture that is all of a paragraph stands in the middle of a page.
local function centred(block)
  local image = #block.content == 1 and block.content[1]
  local is_alone = typst and image and image.t == "Image" and order.files[image.src]
  return is_alone and {raw("#align(center)["), block, raw("]")} or nil
end

local function typed(code) return inline("#raw(wb.breakable(" .. literal(code.text) .. "));") end

--- Formulas are numbered, so that one which Typst refuses can be told from the others and shown as its TeX.
local function formula(math)
  order.formulas = order.formulas + 1
  local name = "formula-" .. order.formulas
  local code = written({pandoc.Plain({math})}, "typst"):gsub("%s+", " ")
  if order.refused[name] or code:sub(1, 1) ~= "$" then return typed(math) end
  -- Names that pandoc 3.9 writes and Typst 0.14 took away.
  code = code:gsub("%f[%a]sect%f[^%a]", "inter"):gsub("%.circle%f[^%a]", ".o"):gsub('"||"', '"‖"')
  code = code:gsub("%f[%a](bracket%.[lr])%.double%f[^%a]", "%1.stroked")
  return inline("#[/*" .. name .. "*/" .. code .. "];")
end

local function call(name, ...) return raw("#wb." .. name .. "(" .. table.concat({...}, ", ") .. ")") end

local function directed(block)
  local text = stringify(block)
  if IS_RTL then
    block.content = set_apart(block.content)
    return block
  end
  if direction(text) == "ltr" then return nil end
  if typst then return {raw("#wb.directed(true)["), block, raw("]")} end
  return {raw('<div dir="rtl">'), block, raw("</div>")}
end

local DIRECTED = {}
for _, kind in ipairs({"Header", "Para", "Plain"}) do DIRECTED[kind] = directed end
for _, kind in ipairs(IS_RTL and {} or {"BulletList", "OrderedList", "BlockQuote"}) do DIRECTED[kind] = directed end

local function to_typst(blocks)
  return blocks
    :walk({Div = function(div) return div.classes[1] == "summary" and paragraph(div.content) or div.content end, Span = function(span) return span.content end})
    :walk({
      Math = formula,
      Code = typed,
      CodeBlock = function(code)
        return call("code", ("(text: %s, lang: %s)"):format(literal(code.text), literal(code.classes[1] or "")))
      end,
      HorizontalRule = function() return call("rule") end,
    })
    :walk(DIRECTED)
    :walk({Str = function(str)
      return utf8.len(str.text) > LONG_WORD and inline("#wb.breakable(" .. literal(str.text) .. ");") or nil
    end})
end

-- Tables --------------------------------------------------------------------------------------------------------------

local SIDES = {AlignRight = "right", AlignCenter = "center", AlignLeft = "left"}

local function is_empty(cell) return #pandoc.utils.blocks_to_inlines(cell) == 0 end

--- The arguments of Typst's `data-table`: rows of cells, of which one that is merged is the first, and the others empty.
--- A row of one merged cell is a heading of those below it. The longest words of each column say how narrow it may be.
local function table_arguments(tbl)
  local simple, head, contents = pandoc.utils.to_simple_table(tbl), #tbl.head.rows, pandoc.Blocks({})
  local merged = rows_of(tbl):map(function(row) return #row.cells == 1 and row.cells[1].col_span > 1 end)
  local rows = (head > 0 and pandoc.List({simple.headers}) or pandoc.List({})) .. simple.rows
  -- A table without a header has an empty one.
  while head > 0 and not rows[1]:find_if(function(cell) return not is_empty(cell) end) do
    rows:remove(1)
    merged:remove(1)
    head = head - 1
  end
  local words, seen = simple.aligns:map(function() return pandoc.List({}) end), {}
  for y, row in ipairs(rows) do
    if y > head and merged[y] then rows[y] = pandoc.List({row[1]}) end
    for x, cell in ipairs(rows[y]) do
      contents:extend(pandoc.Blocks(cell) .. {raw("\1")})
      for word in (#rows[y] == #row and stringify(cell) or ""):gmatch("%S+") do
        if not seen[x .. word] then words[x]:insert(word) end
        seen[x .. word] = true
      end
    end
  end
  -- All cells are written at once, which is quicker by far; no text has a control character in it.
  contents = to_typst(contents):walk({Str = function(str) return inline("#" .. literal(str.text) .. ";") end})
  local next_body = written(contents, "typst"):gmatch("%s*([^\1]-)%s*\1")
  local function list(items) return "(" .. table.concat(items:map(function(item) return item .. "," end)) .. ")" end
  rows = rows:map(function(row) return list(row:map(function() return "[" .. next_body() .. "]" end)) end)
  local sides = simple.aligns:map(function(side) return SIDES[side] or "start" end)
  -- Of letters of several widths, the widest word need not have the most.
  local longest = words:map(function(found)
    found:sort(function(one, other) return utf8.len(one) > utf8.len(other) end)
    return table.concat({table.unpack(found, 1, 8)}, " ")
  end)
  return ("%d, %s, %s, %s"):format(head, list(sides), list(longest:map(literal)), list(rows))
end

local function fenced(open, blocks, close) return pandoc.Blocks({raw(open)}) .. blocks .. {raw(close)} end

local function scrolled(blocks, label)
  return fenced('<div class="scroll" tabindex="0" role="group" aria-label="' .. label .. '">', blocks, "</div>")
end

--- Room for a text that is not there.
local function hidden(text)
  if typst then return inline("#hide(" .. literal(text) .. ");") end
  return pandoc.Span({}, pandoc.Attr("", {}, {["data-room"] = text}))
end

--- A recorded table: its heads are texts, empty ones no heads, and a row of one cell is a heading of those below it.
local function recorded_table(b)
  local bold, tails, longest = {}, {}, {}
  for x, text in ipairs(b.columns) do longest[x] = utf8.len(text) end
  for _, texts in ipairs(b.rows) do
    for x, text in ipairs(#texts == #b.align and texts or {}) do
      longest[x] = math.max(longest[x], utf8.len(text))
      local tail = b.align[x] == "right" and text:match("^[^%a±]* (± [%d.,]+)$") or ""
      tails[x] = #tail > #(tails[x] or "") and tail or tails[x]
    end
  end
  for _, place in ipairs(b.bold) do bold[("%d,%d"):format(place[1], place[2])] = true end
  local function row(texts, y)
    local cells = pandoc.List({})
    for x, text in ipairs(texts) do
      local content = pandoc.Inlines({pandoc.Str(text)})
      -- Means stand below each other, whether they have a deviation or not.
      if y >= 0 and tails[x] and text:match("^[^%a±]+$") then content:insert(hidden("\u{A0}" .. tails[x])) end
      if bold[y .. "," .. x - 1] then content = pandoc.Inlines({pandoc.Strong(content)}) end
      local link = x == 1 and not typst and b.links[y + 1] or ""
      if link ~= "" then content = pandoc.Inlines({pandoc.Link(content, link)}) end
      local scope = y < 0 and "col" or (x == 1 and b.align[1] == "left") and "row"
      local attributes = pandoc.List({{"dir", "@[names]"}, scope and text ~= "" and {"scope", scope} or nil})
      if y < 0 and b.align[x] ~= "right" then
        -- Names stand on one line; sentences share the room that there is.
        local needed = longest[x] > 24 and 18 or longest[x]
        attributes:insert({"style", ("min-width: min(%dch, 36vw)"):format(needed)})
      end
      local width = #texts == 1 and #b.align or 1
      cells:insert(pandoc.Cell({pandoc.Plain(content)}, nil, 1, width, pandoc.Attr("", {}, attributes)))
    end
    return pandoc.Row(cells)
  end
  local rows = pandoc.List(b.rows):map(function(texts, y) return row(texts, y - 1) end)
  local specs = pandoc.List(b.align):map(function(side) return {side == "right" and "AlignRight" or "AlignDefault", nil} end)
  local body = {attr = pandoc.Attr(), body = rows, head = {}, row_head_columns = b.align[1] == "left" and 1 or 0}
  return pandoc.Table({long = {}}, specs, pandoc.TableHead({row(b.columns, -1)}), {body}, pandoc.TableFoot())
end

-- Blocks --------------------------------------------------------------------------------------------------------------

local function text_of(b)
  local chapter = order.chapters[b.chapter]
  local function as_it_is(link) return link, false end
  local blocks = pandoc.Blocks(b.read)
    :walk({Para = centred, Plain = centred})
    :walk({traverse = "topdown", Link = as_it_is, Str = function(str) return polished(str.text, chapter.names) end})
    :walk({Link = linked(chapter), Image = pictured})
  if typst then
    return to_typst(blocks:walk({Table = function(tbl) return call("data-table", table_arguments(tbl)) end}))
  end
  return blocks:walk(DIRECTED):walk({
    CodeBlock = function(code) return pandoc.CodeBlock(code.text, pandoc.Attr("", {}, {{"dir", "ltr"}, {"tabindex", "0"}})) end,
    Div = function(div)
      local tag = div.classes[1]
      return FOLDED[tag] and fenced("<" .. tag .. ">", div.content, "</" .. tag .. ">")
    end,
    Table = function(tbl) return scrolled(pandoc.Blocks({tbl}), LABELS.tbl) end,
  })
end

local function figcaption(label, b, more)
  local about = ('<figcaption dir="%s"><b>%s %s.</b> '):format(direction(b.caption), label, b.number)
  local caption = written({pandoc.Plain(set_apart(pandoc.Inlines({pandoc.Str(b.caption)})))}, "html")
  return raw(about .. caption .. (more or "") .. "</figcaption>")
end

--- A drawing of several panels, which stand below each other on a narrow screen: parts of one picture, which is here once.
local function panels(b)
  local id, said = "drawing-" .. b.anchor, ' role="img" aria-label="' .. escaped(b.alt) .. '"'
  local parts = pandoc.List(b.panels):map(function(p)
    local box = ("%.1f %.1f %.1f %.1f"):format(p[1] * b.width, p[2] * b.height, p[3] * b.width, p[4] * b.height)
    return '<svg viewBox="' .. box .. '"><use href="#' .. id .. '"/></svg>'
  end)
  local size = ('width="%s" height="%s"'):format(b.width, b.height)
  local whole = ('<svg viewBox="0 0 %s %s" %s%s>'):format(b.width, b.height, size, said)
  whole = whole .. ('<image id="%s" href="%s" %s/></svg>'):format(id, b.file, size)
  return '<div class="scroll paper"><div class="panels"' .. said .. ">" .. table.concat(parts) .. "</div>" .. whole .. "</div>"
end

local html = {
  fold = function(b)
    local title = b.title ~= "" and ("@{Details:} <b>" .. escaped(b.title) .. "</b>") or "<b>@{Details}</b>"
    local more = b.more ~= "" and ' <span class="quiet">' .. escaped(b.more) .. "</span>" or ""
    return {raw('<details class="more"><summary>' .. title .. more .. "</summary>")}
  end,
  unfold = function() return {raw("</details>")} end,
  works = function(b) return fenced('<div class="works" role="list">', text_of(b), "</div>") end,
  question = function(b) return fenced('<div class="text question">', text_of(b), "</div>") end,
  answer = function(b)
    return fenced('<div class="text answer" dir="' .. direction(b.text) .. '">', text_of(b), "</div>")
  end,
  text = function(b) return fenced('<div class="text">', text_of(b), "</div>") end,
  reading = function(b) return fenced('<div class="reading"><p class="label">@{Reading}</p>', text_of(b), "</div>") end,
  html = function(b)
    local box = '<div class="output" tabindex="0" role="group" aria-label="@{Shown by code cell %s}">'
    return fenced(box:format(b.cell), text_of(b), "</div>")
  end,
  code = function(b)
    local code = written({pandoc.Plain({pandoc.Code(b.text, {class = b.lang})})}, "html")  -- which colours it
    local summary = '<summary>@{Code} <span class="quiet">' .. b.lines .. "</span></summary>"
    return {raw('<details class="code">' .. summary .. '<pre dir="ltr" tabindex="0">' .. code .. "</pre></details>")}
  end,
  printed = function(b)
    local about = '<pre class="output printed" dir="ltr" tabindex="0" role="group" aria-label="@{Printed by code cell %s}">'
    return {raw(about:format(b.cell) .. escaped(b.text) .. "</pre>")}
  end,
  figure = function(b)
    local reached = b.wide and ' tabindex="0" role="group" aria-label="@{Figure}"' or ""
    local size = (b.width and (' width="%s" height="%s"'):format(b.width, b.height) or "") .. (b.wide and ' class="wide"' or "")
    local image = ('<div class="scroll paper"%s><img src="%s" alt="%s"%s></div>'):format(reached, b.file, escaped(b.alt), size)
    if b.panels and #b.panels > 0 and b.width then image = panels(b) end
    if not b.number then return {raw('<div class="output">' .. image .. "</div>")} end
    return {raw('<figure id="' .. b.anchor .. '">' .. image), figcaption(LABELS.fig, b), raw("</figure>")}
  end,
  table = function(b)
    local more = #b.rows > 20 and (' <span class="on-screen">%s</span>'):format(b.more) or ""
    local box = scrolled(pandoc.Blocks({recorded_table(b)}):walk(IS_RTL and DIRECTED or {}), LABELS.tbl .. " " .. b.number)
    return fenced('<figure class="table" id="' .. b.anchor .. '">', pandoc.Blocks({figcaption(LABELS.tbl, b, more)}) .. box, "</figure>")
  end,
  failure = function() return {} end,  -- the template's: it ends the page
}

--- The block as Typst has it by itself.
local function given(b) return ("wb.given.blocks.at(%d)"):format(b.index) end

local paper = {
  works = function(b)
    local made = pandoc.Blocks({})
    for _, work in ipairs(b.read) do
      made:extend(fenced("#wb.work[", to_typst(pandoc.Blocks(work.content)), "]#label(" .. literal(work.identifier) .. ")"))
    end
    return made
  end,
  question = function(b) return fenced("#wb.question[", text_of(b), "]") end,
  answer = function(b) return fenced("#wb.answer(" .. tostring(runs_right_to_left(b.text)) .. ")[", text_of(b), "]") end,
  text = text_of,
  html = text_of,
  reading = function(b) return fenced("#wb.reading[", text_of(b), "]") end,
  figure = function(b) return {call("drawing", given(b), image_of(b))} end,
  table = function(b) return {call("sheet", given(b), table_arguments(recorded_table(b)))} end,
  chapter = function(b)
    local numbering = order.chapters[b.chapter].numbered and '"@[1].@[1]"' or "none"
    return {raw('#set heading(numbering: "@[1].@[1]")'), call("chapter", given(b)), raw("#set heading(numbering: " .. numbering .. ")")}
  end,
  finding = function(b) return fenced("#wb.finding(" .. given(b) .. ")[", text_of(b), "]") end,
}
-- Typst has a function for each other kind, which takes all that is known of the block.
setmetatable(paper, {__index = function(_, kind) return function(b) return {call(kind, given(b))} end end})

-- The document --------------------------------------------------------------------------------------------------------

local TEXTS = {text = true, html = true, reading = true, finding = true, question = true, answer = true}
local FORMATS = {html = "html", latex = "latex"}

--- Reads every text, gives the headings their ids and levels, and collects what links and references can lead to.
local function prepare(blocks)
  local ids, contents = {}, pandoc.List({})
  for i, b in ipairs(blocks) do
    b.index, b.chapter = i - 1, math.floor(b.chapter or 1)
    local chapter = order.chapters[b.chapter]
    if b.anchor then
      local name = (b.kind == "figure" and "fig-" or "tbl-") .. b.name
      chapter.names[name] = chapter.names[name] or b
      chapter.anchors[b.anchor] = true
    end
    if TEXTS[b.kind] then
      b.read = read(b.text .. "\n", FORMATS[b.format or b.kind] or MARKDOWN)
      if b.text:find("[@", 1, true) then b.read = b.read:walk({Inlines = cited}) end
      b.read:walk({Header = function(header)
        chapter.top = math.min(chapter.top, header.level)
        if stringify(header):match("^%d+[%.%d]*[%.%):]?%s") then chapter.numbered = false end
      end})
    end
  end
  local works = order.bibliography ~= "" and bibliography(blocks)
  if works then
    for _, work in ipairs(works) do order.works["#" .. work.identifier] = true end
    local last = blocks[#blocks].chapter
    local title = {kind = "text", chapter = last, read = {pandoc.Header(order.chapters[last].top, "@{References}")}}
    if order.meta.book then title.read = {call("unnumbered", '(level: 1, text: "@{References}")')} end
    blocks[#blocks + 1], blocks[#blocks + 2] = title, {kind = "works", chapter = last, read = works}
  end
  for _, b in ipairs(blocks) do
    local chapter = order.chapters[b.chapter or 1]
    b.read = b.read and pandoc.Blocks(b.read):walk({Header = function(header)
      local name = slug(stringify(header))
      ids[name] = (ids[name] or 0) + 1
      local id = ids[name] == 1 and name or name .. "-" .. ids[name]
      chapter.headings[name] = chapter.headings[name] or id
      local level = math.floor(header.level - chapter.top + order.level)
      if level <= 3 then
        local function content(element) return element.content end
        local plain = header.content:walk({RawInline = nothing, Image = nothing, Note = nothing, Link = content, Span = content})
        contents:insert({level = tostring(level), id = id, text = set_apart(plain)})
      end
      return pandoc.Header(level, header.content, pandoc.Attr(id))
    end})
  end
  return contents
end

--- What comes before the blocks of a PDF. The definitions have a name of their own: formulas name Typst's.
local function opening()
  local show = "#show: wb.%s.with(wb.given.meta, numbered: %s)"
  show = show:format(order.meta.book and "book" or "report", tostring(order.chapters[1].numbered))
  return {raw('#import "workbook.typ" as wb'), raw(show)}
end

function Reader(input)
  order = pandoc.json.decode(tostring(input), false)
  typst = order.to == "typst"
  order.formulas, order.works = 0, {}
  order.chapters = setmetatable({}, {__index = function(chapters, number)
    chapters[number] = {names = {}, headings = {}, anchors = {}, numbered = true, top = 9}
    return chapters[number]
  end})
  local contents = prepare(order.blocks)
  local blocks = pandoc.Blocks({})
  if typst then blocks:extend(opening()) end
  local has_contents = typst and not order.meta.book and #contents > 1
  for i, b in ipairs(order.blocks) do
    if has_contents and (i > 1 or b.kind ~= "provenance") then
      blocks:insert(raw("#wb.contents"))
      has_contents = false
    end
    blocks:extend((typst and paper or html)[b.kind](b))
  end
  local meta = order.meta
  for _, source in ipairs(meta.sources or {}) do
    for _, row in ipairs(source.rows) do row.text = set_apart(pandoc.Inlines({pandoc.Str(row.text)})) end
  end
  meta.contents = #contents > 0 and contents or nil
  meta.sidebar = #contents > 0 or (meta.failure and meta.failure.name ~= nil)
  return pandoc.Pandoc(blocks, meta)
end
