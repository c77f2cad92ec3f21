import * as fc from "fast-check"

/** Where a literal may stand; `@` is its place. */
export const places = [
  "select * from users where name = @", "select @", "select @ as x, @ from t", "select * from t where a in (@, @) or b like @", "insert into t (a, b) values (@, @), (@, @)",
  "update t set a = @, b = @ where c = @", "delete from t where a = @", "select * from t limit @ offset @", "with x as (select @ as a) select * from x where a <> @",
  "select f(@, g(@)) from t join u on t.a = @ group by 1 having count(*) > @", "select * from t where a between @ and @", "create table t (a text default @)",
  "alter user ann password @", "create user ann with password @", "set app.secret = @", "select * from dblink(@, @) as d(a int)", "copy t from @ with (format csv)",
  "call proc(@, @)", "select case when a = @ then @ else @ end from t", "select * from t where a = any(array[@, @])", "select a -- note\n from t where b = @",
  "select a /* note */ from t where b = @", "select a /* one /* two */ still */ from t where b = @", "merge into t using s on t.a = @ when matched then update set b = @",
  "explain analyze select * from t where a = @", "prepare q as select @", "execute q(@)", "select \"it's\" from t where a = @", "select * from t where a =@and b=@or c=@", "select(@);select @",
  "comment on table t is @", "notify c, @", "do @", "select * from t order by a fetch first @ rows only", "select (@)::text", "select t.a[@] from t", "grant select on t to @", "select * from @"
]

/** How a secret is written as a literal, per dialect. */
const quote = (one: string) => `'${one.replaceAll("'", "''")}'`
const strings: ReadonlyArray<(one: string) => string> = [quote, (one) => `N${quote(one)}`, (one) => `x'${one}'`]
export const literals: Readonly<Record<string, ReadonlyArray<(one: string) => string>>> = {
  pg: [
    ...strings, (one) => `$$${one}$$`, (one) => `$tag$it's ${one}$tag$`, (one) => `$été$${one}$été$`, (one) => `E'\\'${one}\\''`, (one) => `e'\\\\${one}'`, (one) => `U&'\\0441${one}'`, (one) => `B'${one}'`,
    (one) => `'a'\n'${one}'`, (one) => `$a$ $b$ ${one} $b$ $a$`, (one) => `'/*' || '${one}' || '*/'`, (one) => `'--${one}'`, (one) => `'${one}\n--'`
  ],
  mysql: [...strings, (one) => `"${one}"`, (one) => `"it's ""${one}"""`, (one) => `_utf8mb4'${one}'`, (one) => `'it\\'s ${one}'`, (one) => `"a\\"${one}"`],
  sqlite: [...strings, (one) => `'"${one}"'`],
  mssql: [...strings, (one) => `'[${one}]'`],
  clickhouse: [...strings, (one) => `'it\\'s ${one}'`, (one) => `$doc$${one}$doc$`, (one) => `'\\\\${one}'`]
}
/** Letters that are no hex digits, so that a secret is found wherever it is left. */
export const secret = fc.array(fc.constantFrom(..."ghjkmnpqrstuvwxyzGHJKLMNPQRSTVWXYZ"), { minLength: 8, maxLength: 12 }).map((letters) => letters.join(""))
