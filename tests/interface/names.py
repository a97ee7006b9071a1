"""Names as an attacker, a careless importer or another script would write them."""

HOSTILE = [
    "<img src=x onerror=\"window.hit='img'\">",
    "<script>window.hit='script'</script>",
    "javascript:window.hit='link'",
    "{{constructor.constructor('window.hit=1')()}}",
    "\"><svg onload=window.hit='svg'>",
    "نموذج عربي طويل الاسم للاختبار",
    "<b>'\"&amp;${7*7}",
    "n" * 200,
]
